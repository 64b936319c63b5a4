package scope

import (
	"strings"
	"testing"
)

func TestParseID(t *testing.T) {
	const task = "18f9d278-b3d8-489c-82e4-6d1d49b63f18"
	good := func(in, want string) {
		t.Helper()
		if id, err := ParseID(in); err != nil || string(id) != want {
			t.Errorf("ParseID(%q) = %q, %v; want %q", in, id, err, want)
		}
	}
	bad := func(in string) {
		t.Helper()
		if id, err := ParseID(in); err == nil || id != "" {
			t.Errorf("ParseID(%q) = %q, %v; want an error", in, id, err)
		}
	}
	good(task, task)
	good(task+"/1/20", task+"/1/20")
	good("7@"+task+"/1", task+"/1")
	good(strings.ToUpper(task), task)
	good(task+"/"+task+"/3", task+"/"+task+"/3") // a task within a task
	good(task+"/999999999999999999", task+"/999999999999999999")
	bad("")
	bad("None/1") // what distlog's own get_foreign_task gives outside of a task
	bad("<built-in function id>")
	bad(task + "/")
	bad(task + "/0")
	bad(task + "/01")
	bad(task + "/-1")
	bad(task + "//1")
	bad(task + "/1 ")
	bad(task + "/1000000000000000000")
	bad("x@" + task)
	bad("@" + task)
	bad(strings.Replace(task, "-", "_", 1))
	bad(strings.Replace(task, "f", "g", 1))
	bad(task + strings.Repeat("/1", maxID))
}

func TestTraceContext(t *testing.T) {
	const header = "00-18f9d278b3d8489c82e46d1d49b63f18-00f067aa0ba902b7-01"
	id, err := FromTraceparent(header)
	if err != nil {
		t.Fatal(err)
	}
	task, number, _ := strings.Cut(string(id), "/")
	if task != "18f9d278-b3d8-489c-82e4-6d1d49b63f18" || len(number) != 10 {
		t.Errorf("id %s", id)
	}
	if other, _ := FromTraceparent(header); other == id {
		t.Error("the same id twice: two callers would number their records alike")
	}
	if id.TraceID() != "18f9d278b3d8489c82e46d1d49b63f18" {
		t.Errorf("trace id %s", id.TraceID())
	}
	// Other programs derive the same: printf %s ID | sha256sum | cut -c 1-16
	if got := ID("18f9d278-b3d8-489c-82e4-6d1d49b63f18/1").SpanID(); got != "9b9652f59b155597" {
		t.Errorf("span id %s", got)
	}
	if got := ID("18f9d278-b3d8-489c-82e4-6d1d49b63f18/1").Traceparent(); got != "00-18f9d278b3d8489c82e46d1d49b63f18-9b9652f59b155597-01" {
		t.Errorf("traceparent %s", got)
	}
	if ID("x").Traceparent()+ID("").TraceID()+ID("").SpanID() != "" {
		t.Error("what is no id has a trace")
	}
	for _, bad := range []string{
		"", "00", header + "-", header[:54], "ff" + header[2:], strings.ToUpper(header), strings.Replace(header, "-", "_", 2),
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-18f9d278b3d8489c82e46d1d49b63f18-0000000000000000-01",
		"01" + header[2:] + "x", strings.Replace(header, "b7-01", "b7-0x", 1),
	} {
		if id, err := FromTraceparent(bad); err == nil {
			t.Errorf("FromTraceparent(%q) = %s", bad, id)
		}
	}
	for _, good := range []string{"01" + header[2:], "cc" + header[2:] + "-what comes later"} {
		if _, err := FromTraceparent(good); err != nil {
			t.Errorf("FromTraceparent(%q): %v", good, err)
		}
	}
}

func TestNewTask(t *testing.T) {
	seen := map[ID]bool{}
	for range 1000 {
		id := newTask()
		if parsed, err := ParseID(string(id)); err != nil || parsed != id || seen[id] || id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) {
			t.Fatalf("%s: %v", id, err)
		}
		seen[id] = true
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("18f9d278-b3d8-489c-82e4-6d1d49b63f18/1/2")
	f.Add("7@18F9d278-b3d8-489c-82e4-6d1d49b63f18")
	f.Add("None/1")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseID(text)
		if err != nil {
			return
		}
		if again, err := ParseID(string(id)); err != nil || again != id {
			t.Errorf("%q became %q, which became %q, %v", text, id, again, err)
		}
		if _, err := FromTraceparent(id.Traceparent()); err != nil && strings.Trim(id.TraceID(), "0") != "" {
			t.Errorf("traceparent of %q: %v", id, err)
		}
	})
}

func FuzzFromTraceparent(f *testing.F) {
	f.Add("00-18f9d278b3d8489c82e46d1d49b63f18-00f067aa0ba902b7-01")
	f.Add("cc-18f9d278b3d8489c82e46d1d49b63f18-00f067aa0ba902b7-01-more")
	f.Fuzz(func(t *testing.T, header string) {
		id, err := FromTraceparent(header)
		if err != nil {
			return
		}
		if _, err := ParseID(string(id)); err != nil || id.TraceID() != header[3:35] {
			t.Errorf("%q became %q", header, id)
		}
	})
}
