// Package start answers one question: what must a program have said to the kernel before the
// Go runtime begins? That its timers may come 5 milliseconds late and not only 50
// microseconds (timer slack, PR_SET_TIMERSLACK in prctl(2)).
//
// The runtime has a thread, sysmon, that looks after the others. While any of them runs, or
// waits for a core, it sleeps for 20 microseconds and looks again. Each look costs two
// switches of context, and whoever was in a system call for that long has its turn taken from
// it and must ask for another: on two cores a transfer at full speed, which is all system
// calls of that length, took a quarter longer for it, and the start of 24 programs at once a
// fifth (bench/swarm/timer-slack.json). With the slack it sleeps until some other timer is
// due on its core, 5 milliseconds at most.
//
// Slack is a thread's own; a new thread inherits it. When the first init function runs, sysmon
// has been started, and to change the slack of another thread takes CAP_SYS_NICE. So it is
// done by the first instructions of the process, which go on to where it would have begun.
// They are used where Go's own linker is given the flags that scripts/ldflags.sh prints (an
// external one goes by its own); without, the program works the same and costs more.
//
// Against: assembly, if only of eight instructions. Every timer may be late by that much; few
// things here wait for less than 10 milliseconds, and none of them has to be on time. Where a
// slow disk holds as many threads as there are cores, the other goroutines wait for their turn
// that much longer: with 10 and 20 milliseconds of slack a transfer at full speed is slower
// again than with 5. And what the program starts (--exec) inherits it.
package start
