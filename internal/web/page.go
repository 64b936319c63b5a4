package web

import (
	"bytes"
	"crypto/rand"
	"embed"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"time"
)

// pageFiles are the templates, the style and the script. All of it goes into one answer:
// the page asks for nothing else.
//
//go:embed page/*
var pageFiles embed.FS

// view renders pages.
type view struct {
	pages  *template.Template
	style  template.CSS
	script template.JS
	tasks  bool // there is a page of tasks
}

func newView() *view {
	read := func(name string) string {
		b, err := pageFiles.ReadFile("page/" + name)
		if err != nil {
			panic("web: " + err.Error()) // it is embedded
		}
		return string(b)
	}
	pages := template.New("").Funcs(template.FuncMap{
		"number": grouped, "bytes": bytesText, "rate": rateText, "duration": durationText, "ago": agoText,
		"processors": processors, "mood": mood, "took": tookText, "seconds": func(s float64) string { return durationText(time.Duration(s * float64(time.Second))) },
		"since": func(now, t time.Time) string { return durationText(now.Sub(t)) },
	})
	for _, name := range []string{"status.html", "tasks.html", "parts.html", "form.html"} {
		template.Must(pages.New(name).Parse(read(name)))
	}
	return &view{pages: pages, style: template.CSS(read("style.css")), script: template.JS(read("refresh.js"))}
}

// newNonce returns what allows the page's own style and script, and nothing else, to work.
func newNonce() string { return rand.Text() }

// frame is what every page has.
type frame struct {
	Nonce  string
	Style  template.CSS
	Script template.JS
}

type statusPage struct {
	frame
	Snapshot
	Uptime  time.Duration
	Failing int // problems that are not just warnings
	Streams int
	// HasTasks is set if there is a page of tasks.
	HasTasks bool
	Rules    []ruleView
	Ledger   []ledgerRow

	Containers     []containerView
	MoreContainers int
}

// containerView is a container made ready to be drawn.
type containerView struct {
	Container
	CPUSpark, MemorySpark spark
}

type ruleView struct {
	Rule
	Counters []counterView
}

// counterView is a counter made ready to be drawn.
type counterView struct {
	Counter
	Rows []counterRow
	Sums bool // a histogram, with the mean beside the count
	Past bool // a line for each series shows it
}

type counterRow struct {
	Series
	Labels []labelView
	Share  string // of the greatest value, 0 to 100
	Mean   string
	Spark  spark
}

type labelView struct{ Name, Value string }

// ledgerRow is a component with its numbers in order.
type ledgerRow struct {
	Component
	Dropped, Events []reasonCount
}

type reasonCount struct {
	Reason string
	N      float64
}

const (
	// maxRows is how many series of a counter the page lists.
	maxRows = 20
	// maxContainers is how many containers it lists.
	maxContainers = 200
)

func (v *view) status(s Snapshot, nonce string) ([]byte, error) {
	page := statusPage{frame: frame{nonce, v.style, v.script}, Snapshot: s, Uptime: s.Now.Sub(s.Started), HasTasks: v.tasks}
	for _, p := range s.Problems {
		if !p.Warning {
			page.Failing++
		}
	}
	for _, source := range s.Sources {
		page.Streams += len(source.Streams)
	}
	for _, r := range s.Rules {
		rule := ruleView{Rule: r}
		for _, c := range r.Counters {
			rule.Counters = append(rule.Counters, viewOf(c, s.PastOf))
		}
		page.Rules = append(page.Rules, rule)
	}
	for _, c := range s.Components {
		page.Ledger = append(page.Ledger, ledgerRow{c, inOrder(c.Dropped), inOrder(c.Events)})
	}
	for _, c := range s.Containers[:min(len(s.Containers), maxContainers)] {
		page.Containers = append(page.Containers, containerView{c, sparkOf(c.CPUPast, s.PastOf, processors), sparkOf(c.MemoryPast, s.PastOf, bytesText)})
	}
	page.MoreContainers = len(s.Containers) - len(page.Containers)
	return v.render("status.html", page)
}

func (v *view) form(nonce string, wrong bool) ([]byte, error) {
	return v.render("form.html", struct {
		frame
		Wrong bool
	}{frame{Nonce: nonce, Style: v.style}, wrong})
}

func (v *view) render(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	if err := v.pages.ExecuteTemplate(&b, name, data); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func viewOf(c Counter, pastOf time.Duration) counterView {
	v := counterView{Counter: c, Sums: c.Kind == "histogram"}
	if len(c.Series) > maxRows {
		v.More += len(c.Series) - maxRows
		v.Series = c.Series[:maxRows]
	}
	greatest := 0.0
	for _, s := range v.Series {
		greatest = max(greatest, s.Value)
	}
	for _, s := range v.Series {
		row := counterRow{Series: s, Share: "0"}
		for i, value := range s.Values {
			if i < len(c.Labels) {
				row.Labels = append(row.Labels, labelView{c.Labels[i], value})
			}
		}
		if greatest > 0 && s.Value > 0 {
			row.Share = strconv.FormatFloat(100*s.Value/greatest, 'f', 2, 64)
		}
		if v.Sums && s.Value > 0 {
			row.Mean = strconv.FormatFloat(s.Sum/s.Value, 'g', 3, 64)
		}
		row.Spark = sparkOf(s.Past, pastOf, rateText)
		v.Past = v.Past || row.Spark.Path != ""
		v.Rows = append(v.Rows, row)
	}
	return v
}

func inOrder(counts map[string]float64) (list []reasonCount) {
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		if counts[reason] != 0 {
			list = append(list, reasonCount{reason, counts[reason]})
		}
	}
	return list
}
