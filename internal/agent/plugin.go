package agent

import (
	"fmt"
	"maps"
	"slices"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/flow"
	"github.com/weirlog/weir/internal/ledger"
)

// Plugin is a plugin of a rule: its type, and the settings of that.
type Plugin struct {
	typ  string
	part pluginPart
}

// pluginPart is a plugin whose settings were decoded and checked.
type pluginPart struct {
	settings any
	build    func(flow.PluginDeps) (flow.Plugin, error)
}

// UnmarshalNode reads the type, and then what settings that has.
func (p *Plugin) UnmarshalNode(n *config.Node) error {
	typ, _, mistakes := n.Choose("type", slices.Sorted(maps.Keys(pluginTypes)))
	made, ok := pluginTypes[typ]
	if !ok {
		return mistakes.Err()
	}
	part, wrong := made(n)
	p.typ, p.part = typ, part
	return wrong.Err()
}

// MarshalNode is the reverse of UnmarshalNode.
func (p Plugin) MarshalNode() any { return p.part.settings }

// Schema has the settings of every type.
func (Plugin) Schema() map[string]any {
	var forms []any
	for _, typ := range slices.Sorted(maps.Keys(pluginTypes)) {
		part, _ := pluginTypes[typ](&config.Node{})
		forms = append(forms, part.settings)
	}
	return map[string]any{"title": "keys, which the type decides", "anyOf": forms}
}

// plugin is one that was built, with its place in the ledger.
type plugin struct {
	flow.Plugin
	ledger *ledger.Component
}

// addPlugins builds the plugins of the rules.
func (a *Agent) addPlugins(g *generation) error {
	for _, r := range g.rules {
		for k, p := range r.Plugins {
			name := r.Name
			if k > 0 {
				name = fmt.Sprintf("%s/%d", r.Name, k+1)
			}
			c := a.ledger.Component("plugin", name, p.typ)
			made, err := p.part.build(flow.PluginDeps{Name: name, Log: a.opts.Log.With("plugin", name), Ledger: c})
			if err != nil {
				return err
			}
			r.plugins = append(r.plugins, made)
			g.plugins = append(g.plugins, plugin{made, c})
		}
	}
	return nil
}

// closePlugins ends the plugins, once nobody writes to a line any more.
func (g *generation) closePlugins() {
	for _, p := range g.plugins {
		if err := p.Close(); err != nil {
			p.ledger.Degraded(err.Error(), "it was ended all the same")
		}
	}
}
