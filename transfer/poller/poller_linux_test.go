package poller

func init() { implementations["epoll"] = NewEpoll }
