package match_test

import (
	"fmt"
	"testing"

	"github.com/weirlog/weir/internal/match"
	"github.com/weirlog/weir/internal/record"
)

func TestSelector(t *testing.T) {
	labels := record.NewLabels(map[string]string{"container": "nginx", "env": "prod"})
	for text, want := range map[string]bool{
		`{}`:                                   true,
		`{container="nginx"}`:                  true,
		`{ container = "nginx" , env="prod",}`: true,
		`{container!="nginx"}`:                 false,
		`{container=~"ngi.*"}`:                 true,
		`{container=~"gin"}`:                   false, // the whole value
		`{container!~"gin"}`:                   true,
		"{container=`nginx`}":                  true,
		`{absent=""}`:                          true,
		`{absent=~".+"}`:                       false,
	} {
		s, err := match.Parse(text)
		if err != nil {
			t.Errorf("Parse(%s): %v", text, err)
		} else if got := s.Matches(labels); got != want {
			t.Errorf("%s matches: %v, want %v", text, got, want)
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	for text, want := range map[string]string{
		`container="nginx"`:       `at character 1: a selector begins with {, as in {container="nginx"}`,
		`{container}`:             `at character 11: expected =, !=, =~ or !~ after container`,
		`{container=nginx}`:       `at character 12: expected a value in double quotes or backquotes`,
		`{container="a" env="b"}`: `at character 16: expected a comma or }`,
		`{a="b"} x`:               `at character 9: unexpected text after the selector`,
		`{a=~"("}`:                "at character 5: error parsing regexp: missing closing ): `(`",
		`{`:                       `at character 2: expected the name of a label`,
	} {
		if _, err := match.Parse(text); err == nil || err.Error() != want {
			t.Errorf("Parse(%s) = %v\nwant %s", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{a="b", c=~"d|e"}`)
	f.Add("{a=`x`,b!~\"\\\"\"}")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := match.Parse(text)
		if err != nil {
			return
		}
		again, err := match.Parse(s.String())
		if err != nil || again.String() != s.String() {
			t.Fatalf("%q became %q: %v", text, s, err)
		}
	})
}

func Example() {
	s, _ := match.Parse(`{container=~"shop-.*"}`)
	fmt.Println(s.Matches(record.Labels{{Name: "container", Value: "shop-web-1"}}))
	// Output: true
}

func TestExcludes(t *testing.T) {
	for text, want := range map[string]bool{
		`{}`: false, `{a="b"}`: false, `{source="app"}`: false, `{source="other"}`: true, `{a="b", source!="app"}`: true, `{source=~"a.*"}`: false, `{source!~"a.*"}`: true,
	} {
		s, err := match.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Excludes(record.Label{Name: "source", Value: "app"}); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
