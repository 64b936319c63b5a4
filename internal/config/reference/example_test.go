package reference_test

import (
	"fmt"
	"os"
	"time"

	"github.com/weirlog/weir/internal/config/reference"
)

// Tail configures a source.
type Tail struct {
	// Poll is the time between two looks; 0 looks once.
	Poll time.Duration `yaml:"poll"`
}

func ExampleBook() {
	book := &reference.Book{
		Root:     Tail{Poll: 5 * time.Second},
		Comments: map[string]string{"github.com/weirlog/weir/internal/config/reference_test.Tail.Poll": "Poll is the time between two looks; 0 looks once."},
	}
	if err := book.WriteMarkdown(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// ## Top level
	//
	// | key | type | default | description |
	// |---|---|---|---|
	// | `poll` | duration | `5s` | Poll is the time between two looks; 0 looks once. |
}
