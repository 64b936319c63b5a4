package demo

import (
	"math"
	"time"
)

// pace decides how many lines are due. Around its average it goes up and down once a
// minute, with a burst every 23 s; and every 45 s the application servers are in trouble.
type pace struct {
	perSecond float64
	elapsed   time.Duration
	owed      float64 // the part of a line that is due already
}

const (
	wave       = time.Minute
	burstEvery = 23 * time.Second
	burstLasts = 2 * time.Second
	burstAdds  = 2.5
	waveAdds   = 0.4
	// quiet is what is left of the average for the time between bursts.
	quiet        = 1 - burstAdds*float64(burstLasts)/float64(burstEvery)
	troubleEvery = 45 * time.Second
	troubleFrom  = 12 * time.Second
	troubleLasts = 5 * time.Second
	longestStep  = time.Second // a machine that slept does not make up for it
)

// due moves the time on by step and returns how many lines are to be written now.
func (p *pace) due(step time.Duration) int {
	step = min(step, longestStep)
	p.elapsed += step
	factor := quiet + waveAdds*math.Sin(2*math.Pi*p.elapsed.Seconds()/wave.Seconds())
	if p.elapsed%burstEvery >= burstEvery-burstLasts {
		factor += burstAdds
	}
	p.owed += p.perSecond * factor * step.Seconds()
	n := int(p.owed)
	p.owed -= float64(n)
	return n
}

// trouble says whether the application servers fail at this time.
func (p *pace) trouble() bool {
	at := p.elapsed % troubleEvery
	return at >= troubleFrom && at < troubleFrom+troubleLasts
}
