package shape

import (
	"reflect"
	"testing"
)

type inner struct {
	A int `yaml:"a"`
	B int `yaml:"b"`
}

func TestFields(t *testing.T) {
	type outer struct {
		inner `yaml:",inline"`
		B     string `yaml:"b,omitempty"`
		Any   any    `yaml:",inline"`
		Out   int    `yaml:"-"`
		Plain int
		_     int `yaml:"hidden"`
	}
	want := []Field{
		{Key: "a", Index: []int{0, 0}, Type: reflect.TypeFor[int](), Owner: reflect.TypeFor[inner](), Name: "A"},
		{Key: "b", Index: []int{1}, Type: reflect.TypeFor[string](), OmitEmpty: true, Owner: reflect.TypeFor[outer](), Name: "B"},
		{Index: []int{2}, Type: reflect.TypeFor[any](), Inline: true, Owner: reflect.TypeFor[outer](), Name: "Any"},
	}
	if got := Fields(reflect.TypeFor[outer]()); !reflect.DeepEqual(got, want) {
		t.Errorf("Fields =\n%+v\nwant\n%+v", got, want)
	}
}

func TestFieldsWithoutKey(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a tag without a key does not panic")
		}
	}()
	Fields(reflect.TypeFor[struct {
		A int `yaml:",omitempty"`
	}]())
}
