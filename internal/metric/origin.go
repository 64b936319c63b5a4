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
	r := f.shape.reg
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.origins != nil && r.origins[f] == "" && f.fate&gone == 0 {
		r.origins[f] = name
	}
}

// Origin returns what SetOrigin was told; empty if nothing was, or nobody kept it.
func (f *Family) Origin() string {
	r := f.shape.reg
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.origins[f]
}
