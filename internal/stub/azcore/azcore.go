// Package azcore stands in for the core of Azure's library, which Prometheus' configuration
// of remote write leads to and weir does not use. It declares what is named there.
package azcore

import (
	"context"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// AccessToken is what a TokenCredential would give.
type AccessToken struct {
	Token     string
	ExpiresOn time.Time
}

// ClientOptions says which cloud is meant.
type ClientOptions struct {
	Cloud cloud.Configuration
}

// TokenCredential has no implementation here.
type TokenCredential interface {
	GetToken(ctx context.Context, options policy.TokenRequestOptions) (AccessToken, error)
}
