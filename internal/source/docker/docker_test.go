package docker

import (
	"fmt"
	"testing"
)

func TestFollowThroughAPI(t *testing.T) {
	e, j := newEngine(t, ""), newJournal(t)
	old := e.run("old", nil)
	e.writeLines(old, 0, 100)
	start(t, e, j, nil)
	e.writeLines(old, 100, 200)
	web := e.run("web", nil)
	e.writeLines(web, 0, 50)
	j.exactly("docker/old", old, e.all(old))
	j.exactly("docker/web", web, e.all(web))
	e.end(web)
	e.begin(web)
	e.writeLines(web, 50, 100)
	j.exactly("docker/web", web, e.all(web))
	e.remove(web)
	j.until("web is forgotten", func() bool { return !j.has("docker/web", web).known })
	j.exactly("docker/web", web, e.all(web))
}

func TestRestartThroughAPI(t *testing.T) {
	e, j := newEngine(t, ""), newJournal(t)
	web := e.run("web", nil)
	for i := range 10 {
		stop, _ := start(t, e, j, nil)
		e.writeLines(web, i*100, i*100+60)
		j.exactly("docker/web", web, e.all(web))
		stop()
		e.writeLines(web, i*100+60, i*100+100)
	}
	start(t, e, j, nil)
	j.exactly("docker/web", web, e.all(web))
}

func TestManyShortContainers(t *testing.T) {
	e, j := newEngine(t, ""), newJournal(t)
	start(t, e, j, nil)
	j.until("settled", func() bool { return j.settled == 1 })
	var all []*fakeContainer
	for i := range 50 {
		c := e.run(fmt.Sprintf("short-%d", i), nil)
		e.writeLines(c, 0, 10)
		e.end(c)
		all = append(all, c)
	}
	for _, c := range all {
		j.exactly("docker/"+c.name, c, e.all(c))
	}
}
