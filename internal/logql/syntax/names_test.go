package syntax_test

import (
	"net/netip"
	"regexp"
	"testing"

	"github.com/weirlog/weir/internal/logql/syntax"
)

func TestSanitizeName(t *testing.T) {
	for key, want := range map[string]string{
		"": "", "a": "a", "a.b-c": "a_b_c", "1st": "_1st", "ä": "_", "日本": "__", "a:b": "a_b", "_9": "_9", " x": "_x",
	} {
		if got := syntax.SanitizeName(key); got != want || got != "" && !syntax.IsLabelName(got) {
			t.Errorf("SanitizeName(%q) = %q; want %q", key, got, want)
		}
	}
}

func TestIPRange(t *testing.T) {
	for text, addresses := range map[string][2]string{ // one inside, one outside
		"10.1.2.3":                  {"10.1.2.3", "10.1.2.4"},
		"10.0.0.0/8":                {"10.255.255.255", "11.0.0.0"},
		"10.1.2.3/8":                {"10.0.0.0", "9.255.255.255"},
		"10.0.0.5-10.0.1.0":         {"10.0.0.255", "10.0.1.1"},
		"0.0.0.0/0":                 {"255.255.255.255", "::1"},
		"::1":                       {"::1", "::2"},
		"2001:db8::/32":             {"2001:db8:ffff::1", "2001:db9::"},
		"2001:db8::1 - 2001:db8::8": {"2001:db8::8", "2001:db8::9"},
		"::ffff:10.0.0.1":           {"10.0.0.1", "::10.0.0.1"},
		"192.168.4.0-192.168.4.0":   {"::ffff:192.168.4.0", "192.168.4.1"},
		"fe80::/10":                 {"fe80::1%eth0", "fec0::"},
	} {
		r, err := syntax.ParseIPRange(text)
		in, out := netip.MustParseAddr(addresses[0]), netip.MustParseAddr(addresses[1])
		if err != nil || !r.Contains(in) || r.Contains(out) {
			t.Errorf("ParseIPRange(%s): %v; contains %s: %v, %s: %v", text, err, in, r.Contains(in), out, r.Contains(out))
		}
	}
	for _, text := range []string{"", "10", "10.0.0.0/33", "10.0.0.9-10.0.0.1", "10.0.0.1-::1", "-", "x/8", "1.2.3.4-"} {
		if _, err := syntax.ParseIPRange(text); err == nil {
			t.Errorf("ParseIPRange(%s) is accepted", text)
		}
	}
}

func TestEscapeSequence(t *testing.T) {
	re := regexp.MustCompile(syntax.EscapeSequence)
	for text, want := range map[string]string{
		"\x1b[1;31mred\x1b[0m":             "red",
		"\x1b]0;title\x07text":             "text",
		"\x1b]8;;http://x\x1b\\link":       "link",
		"\x1b(Bplain\u009b2K":              "plain",
		"[0m is no sequence":               "[0m is no sequence",
		"\x1b[?25lhidden\x1b[38;5;12mx":    "hiddenx",
		"\x1bMup and an escape \x1b alone": "up and an escape lone",
	} {
		if got := re.ReplaceAllString(text, ""); got != want {
			t.Errorf("%q becomes %q; want %q", text, got, want)
		}
	}
}

func TestMatcher(t *testing.T) {
	m, err := syntax.ParseMatchers(`{a="x", b!="x", c=~"x.z", d!~"x|y"}`)
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string][4]bool{
		"x": {true, false, false, false}, "": {false, true, false, true}, "x\nz": {false, true, true, true}, "xyzz": {false, true, false, true},
	} {
		for i := range m {
			if got := m[i].Matches(value); got != want[i] {
				t.Errorf("%s matches %q: %v", m[i].String(), value, got)
			}
		}
	}
}
