package metric

// KeepOrigins has the registry keep what SetOrigin says. Without it nothing does, and costs
// nothing.
func (r *Registry) KeepOrigins() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.origins == nil {
		r.origins = map[*Family]string{}
	}
}

// KeepsOrigins tells whether somebody wants to know origins.
func (r *Registry) KeepsOrigins() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.origins != nil
}

// SetOrigin says what a family is called where its numbers come from, for whoever sends them
// on under that name: app.hits|c. The first name stays.
func (f *Family) SetOrigin(name string) {
	if name == "" {
		return
	}
	f.reg.mu.Lock()
	defer f.reg.mu.Unlock()
	if f.reg.origins != nil && f.reg.origins[f] == "" && f.reg.families[f.desc.Name] == f {
		f.reg.origins[f] = name
	}
}

// Origin returns what SetOrigin was told; empty if nothing was, or nobody kept it.
func (f *Family) Origin() string {
	f.reg.mu.RLock()
	defer f.reg.mu.RUnlock()
	return f.reg.origins[f]
}
