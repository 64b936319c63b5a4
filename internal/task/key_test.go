package task_test

import (
	"strings"
	"testing"

	"github.com/weirlog/weir/internal/task"
)

func TestParseID(t *testing.T) {
	good := func(in, root, scope string) {
		t.Helper()
		if id, ok := task.ParseID(in); !ok || id.Root != root || id.Scope != scope {
			t.Errorf("ParseID(%q) = %q, %t; want %q, %q", in, id, ok, root, scope)
		}
	}
	bad := func(in string) {
		t.Helper()
		if id, ok := task.ParseID(in); ok {
			t.Errorf("ParseID(%q) = %q, want none", in, id)
		}
	}
	good(uuid, uuid, uuid)
	good(" "+strings.ToUpper(uuid)+"\n", uuid, uuid)
	good(uuid+"/1/2", uuid, uuid+"/1/2")
	good("17@"+uuid+"/1/2", uuid, uuid+"/1/2")
	good("17@"+uuid+"/1/"+uuid2+"/3", uuid, uuid+"/1/"+uuid2+"/3")
	good(strings.ReplaceAll(uuid, "-", ""), uuid, uuid)
	good("0@<built-in function id>", "<built-in function id>", "<built-in function id>")
	good("0@<built-in function id>/1", "<built-in function id>", "<built-in function id>/1")
	good("None/1", "None", "None/1")
	good("None@vm:12/1", "None@vm:12", "None@vm:12/1")
	good(uuid+strings.Repeat("/1", 511), uuid, uuid+strings.Repeat("/1", 511))
	good("999999999999999999@"+uuid, uuid, uuid)
	bad("")
	bad("None")
	bad("1@")
	bad("@" + uuid)
	bad("-1@" + uuid)
	bad("x@" + uuid)
	bad("9999999999999999999@" + uuid)
	bad(uuid + "/")
	bad(uuid + "//1")
	bad(uuid + "/-1")
	bad(uuid + "/x")
	bad("/" + uuid)
	bad("1/" + uuid)
	bad(uuid[1:])
	bad(strings.Replace(uuid, "-", "_", 1))
	bad("me@example.com")
	bad("0@example.com")
	bad(uuid + strings.Repeat("/1", 512))
	bad(uuid + "/" + strings.Repeat("1", 19))
	bad(strings.Repeat("0", 32))
	bad(uuid + strings.Repeat("/11111111", 1<<16))
}

func FuzzParseID(f *testing.F) {
	for _, seed := range []string{uuid, "1@" + uuid + "/1/2", "0@<built-in function id>/1", "None@h:1/2", "0@None/1", strings.ReplaceAll(uuid, "-", ""), uuid + "/" + uuid2} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, ok := task.ParseID(text)
		if !ok {
			return
		}
		if !strings.HasPrefix(id.Scope, id.Root) || id.Root == "" || strings.Count(id.Scope, "/") >= 512 {
			t.Errorf("%q: %+v", text, id)
		}
		if again, ok := task.ParseID(id.String()); !ok || again != id {
			t.Errorf("%q: %+v, and again %+v", text, id, again)
		}
	})
}
