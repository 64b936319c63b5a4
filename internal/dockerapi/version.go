package dockerapi

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The API versions spoken here. What is asked for exists in all of them.
const (
	newestVersion = "1.56"
	oldestVersion = "1.24"
)

// Version returns the API version that is spoken with the engine, agreeing on one first if
// need be.
func (c *Client) Version(ctx context.Context) (string, error) { return c.negotiated(ctx) }

func (c *Client) negotiated(ctx context.Context) (string, error) {
	c.mu.Lock()
	version := c.version
	c.mu.Unlock()
	if version != "" {
		return version, nil
	}
	version, err := c.negotiate(ctx)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	c.version = version
	c.mu.Unlock()
	return version, nil
}

// forget drops the agreed version, unless another one was agreed on meanwhile.
func (c *Client) forget(version string) {
	c.mu.Lock()
	if c.version == version {
		c.version = ""
	}
	c.mu.Unlock()
}

// negotiate asks /_ping, which costs least, then /version: a proxy may forbid either.
func (c *Client) negotiate(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	offered, err := c.pingVersion(ctx)
	var refused *Error
	if err != nil && !errors.As(err, &refused) {
		return "", err
	}
	if offered == "" {
		if offered, err = c.askVersion(ctx); err != nil {
			return "", err
		}
	}
	return choose(offered)
}

func (c *Client) pingVersion(ctx context.Context) (string, error) {
	resp, err := c.raw(ctx, "/_ping", nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	return resp.Header.Get("Api-Version"), nil
}

func (c *Client) askVersion(ctx context.Context) (string, error) {
	resp, err := c.raw(ctx, "/version", nil)
	if err != nil {
		return "", fmt.Errorf("ask for the API version: %w", err)
	}
	defer resp.Body.Close()
	var v struct{ ApiVersion string }
	if err := decodeSmall(resp.Body, &v); err != nil {
		return "", fmt.Errorf("ask for the API version: %w", err)
	}
	return v.ApiVersion, nil
}

// Engine is what an engine says of itself.
type Engine struct {
	Version string // "28.2.2"
	API     string // the newest that it speaks
	System  string // "linux/amd64"
	Kernel  string
}

// Engine asks the engine what it is.
func (c *Client) Engine(ctx context.Context) (Engine, error) {
	var v struct{ Version, ApiVersion, Os, Arch, KernelVersion string }
	if err := c.getJSON(ctx, "/version", nil, &v); err != nil {
		return Engine{}, fmt.Errorf("ask for the engine's version: %w", err)
	}
	return Engine{Version: v.Version, API: v.ApiVersion, System: v.Os + "/" + v.Arch, Kernel: v.KernelVersion}, nil
}

// choose returns the newest version that both sides speak, by what the engine offers.
func choose(offered string) (string, error) {
	theirs, ok := parseVersion(offered)
	if !ok {
		return "", fmt.Errorf("this does not look like a Docker Engine: its API version is %.40q", offered)
	}
	oldest, _ := parseVersion(oldestVersion)
	newest, _ := parseVersion(newestVersion)
	switch {
	case theirs < oldest:
		return "", &Error{Message: "the engine speaks API " + offered + ", too old: at least " + oldestVersion + " (Docker 1.12) is needed", kind: ErrUnsupported}
	case theirs > newest:
		return newestVersion, nil
	}
	return offered, nil
}

// FollowsRotation tells whether the engine follows a log over its rotation without losing
// or repeating messages: engines before API 1.42 (Docker 23) do not.
func (c *Client) FollowsRotation() bool { return c.atLeast(1, 42) }

// atLeast tells whether the version agreed on is not older than another.
func (c *Client) atLeast(major, minor int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	have, _ := parseVersion(c.version)
	return have >= major<<16|minor
}

// parseVersion makes "1.24" comparable.
func parseVersion(s string) (int, bool) {
	major, minor, ok := strings.Cut(s, ".")
	x, err1 := strconv.ParseUint(major, 10, 15)
	y, err2 := strconv.ParseUint(minor, 10, 15)
	return int(x)<<16 | int(y), ok && err1 == nil && err2 == nil
}
