package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

const (
	containerName = "weir-demo-nginx"
	imageName     = "weir-demo"
	// demoLabel marks the container, so that one left by a crash may be removed, and
	// nobody else's.
	demoLabel = "weir.demo"
)

// container is the demo's container while it runs.
type container struct {
	engine *engine
}

// startContainer makes an image of the binary, which is weir's and static, and starts `weir demo --emit` in it.
func startContainer(ctx context.Context, host, binary string, rate int) (*container, error) {
	e, err := dial(ctx, host)
	if err != nil {
		return nil, err
	}
	c := &container{e}
	if err := c.removeLeftover(ctx); err != nil {
		return nil, err
	}
	if err := e.importBinary(ctx, binary); err != nil {
		return nil, err
	}
	spec, err := json.Marshal(containerSpec(rate))
	if err != nil {
		return nil, fmt.Errorf("describe the container: %w", err)
	}
	create := call{method: http.MethodPost, path: "/containers/create?name=" + containerName, body: bytes.NewReader(spec)}
	if _, err := e.do(ctx, create); err != nil {
		return nil, errors.Join(err, c.remove(ctx))
	}
	if _, err := e.do(ctx, post("/containers/"+containerName+"/start")); err != nil {
		return nil, errors.Join(err, c.remove(ctx))
	}
	return c, nil
}

// containerSpec is what the engine is asked to create.
func containerSpec(rate int) map[string]any {
	return map[string]any{
		"Image":      imageName,
		"Entrypoint": []string{"/weir"},
		"Cmd":        []string{"demo", "--emit", "--rate", strconv.Itoa(rate)},
		"User":       "65534:65534",
		"Labels":     map[string]string{demoLabel: "true"},
		"HostConfig": map[string]any{
			"NetworkMode": "none", "ReadonlyRootfs": true, "CapDrop": []string{"ALL"},
			"LogConfig": map[string]any{
				"Type": "json-file", "Config": map[string]string{"max-size": "1m", "max-file": "3"},
			},
		},
	}
}

// remove stops and removes the container and its image.
func (c *container) remove(ctx context.Context) error {
	_, err := c.engine.do(ctx, call{method: http.MethodDelete, path: "/containers/" + containerName + "?force=1&v=1"})
	_, imageErr := c.engine.do(ctx, call{method: http.MethodDelete, path: "/images/" + imageName})
	return errors.Join(ignoreMissing(err), ignoreMissing(imageErr))
}

// removeLeftover removes the container of a demo that did not end well.
func (c *container) removeLeftover(ctx context.Context) error {
	answer, err := c.engine.do(ctx, call{method: http.MethodGet, path: "/containers/" + containerName + "/json"})
	if err != nil {
		return ignoreMissing(err)
	}
	var found struct {
		Config struct{ Labels map[string]string }
	}
	if err := json.Unmarshal(answer, &found); err != nil {
		return fmt.Errorf("inspect %s: %w", containerName, err)
	}
	if found.Config.Labels[demoLabel] == "" {
		return fmt.Errorf("a container named %s is there that the demo did not make: rename it", containerName)
	}
	return c.remove(ctx)
}
