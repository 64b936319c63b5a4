package dockerjson_test

import (
	"fmt"

	"github.com/weirlog/weir/internal/codec/dockerjson"
)

func Example() {
	e, err := dockerjson.Parse([]byte(`{"log":"GET \"/\" 200\n","stream":"stdout","time":"2026-11-20T18:07:46.11701285Z"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n%s\n", e.Log, dockerjson.Unescape(nil, e.Log))
	// Output:
	// GET \"/\" 200
	// GET "/" 200
}
