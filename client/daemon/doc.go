// Package daemon answers: what does a Storage do while nobody is looking?
//
// Its main type is [Daemon]: it serves everything that a Storage holds, runs
// downloads and publications from a queue, and remembers all of it over restarts,
// kill -9 and power cuts. It is called by package web, which shows it to browsers and
// commands, from any goroutine.
//
// # Who owns what
//
// One goroutine, [Daemon.loop], owns all jobs. Others hand it functions (do, post)
// and get copies. What takes long runs on goroutines of its own, one per job at most
// (run.go), and tells the loop how it went. A job is what a person asked for, and
// stays when its run has ended; a run is the doing. What is served needs no goroutine:
// it says so itself when it can be served no longer.
//
//	daemon.go     the loop, Start and Close
//	job.go        a job and its states; look.go what others see of it
//	add.go        new jobs; requests.go and settings.go what else a person may ask for
//	bring.go      the bytes of a publication that a command brings
//	schedule.go   which job's turn it is
//	run.go        fetching and publishing; serving.go what comes of it and is given to others
//	journal.go    the file that jobs are remembered in
//	adopt.go      what commands did in this Storage while no daemon was there
//	events.go     who wants to know of changes
//	held.go       what others can read; survey.go all jobs at a glance
//	catalog.go    the list of all names in the ring, for searching
//	swarm.go      who has how much of a name
//	follow.go     newer versions
//	watch.go      a folder whose content is published; gone.go what is gone from it
//
// It leaves to others: how a download or publication is carried out and where its
// data lies (package client), HTTP (package web).
package daemon
