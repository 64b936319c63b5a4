package agent

import "strings"

// announce says in the log what is about to run. Components say more of themselves; all
// settings are shown by `weir config`.
func (a *Agent) announce() {
	g := a.current()
	var sources, sinks, rules []string
	for _, s := range g.sources {
		sources = append(sources, s.name)
	}
	for _, s := range g.sinks {
		sinks = append(sinks, s.name)
	}
	for _, r := range g.rules {
		rules = append(rules, r.Name)
	}
	list := func(names []string) string { return strings.Join(names, ",") }
	a.opts.Log.Info("starting", "version", a.opts.Version, "node", a.node, "data_dir", a.dataDir, "config", list(g.cfg.Files()),
		"sources", list(sources), "rules", list(rules), "sinks", list(sinks))
	for _, u := range g.cfg.useless {
		a.opts.Log.Info("variable without effect", "variable", u.name, "reason", u.reason)
	}
}
