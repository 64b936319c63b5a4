package metric

import "testing"

func TestOrigin(t *testing.T) {
	r := New()
	f, err := r.Family(Desc{Name: "hits_total"})
	if err != nil {
		t.Fatal(err)
	}
	f.SetOrigin("hits|c")
	if r.KeepsOrigins() || f.Origin() != "" {
		t.Error("an origin is kept that nobody asked for")
	}
	r.KeepOrigins()
	f.SetOrigin("")
	f.SetOrigin("app.hits|c")
	f.SetOrigin("app/hits|c")
	r.KeepOrigins()
	if !r.KeepsOrigins() || f.Origin() != "app.hits|c" {
		t.Errorf("the origin is %q; the first name stays", f.Origin())
	}
	r.Forget("hits_total")
	f.SetOrigin("again|c")
	if f.Origin() != "" || len(r.origins) != 0 {
		t.Errorf("a family that is forgotten has the origin %q", f.Origin())
	}
}
