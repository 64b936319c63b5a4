// Package azidentity stands in for the sign-in to Azure, which Prometheus' configuration of
// remote write leads to and weir does not use. It declares what is named, and refuses.
package azidentity

import (
	"crypto"
	"crypto/x509"
	"errors"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

var errNotBuilt = errors.New("sign-in to Azure is not built into weir")

// ClientID names a managed identity.
type ClientID string

// ManagedIdentityCredentialOptions are options of a credential that is refused.
type ManagedIdentityCredentialOptions struct {
	azcore.ClientOptions
	ID ClientID
}

// WorkloadIdentityCredentialOptions are options of a credential that is refused.
type WorkloadIdentityCredentialOptions struct {
	azcore.ClientOptions
	ClientID, TenantID, TokenFilePath string
}

// ClientSecretCredentialOptions are options of a credential that is refused.
type ClientSecretCredentialOptions struct {
	azcore.ClientOptions
}

// DefaultAzureCredentialOptions are options of a credential that is refused.
type DefaultAzureCredentialOptions struct {
	azcore.ClientOptions
	TenantID string
}

// ClientCertificateCredentialOptions are options of a credential that is refused.
type ClientCertificateCredentialOptions struct {
	azcore.ClientOptions
	SendCertificateChain bool
}

// refused is a credential that nobody gets.
type refused struct{ azcore.TokenCredential }

// NewManagedIdentityCredential refuses.
func NewManagedIdentityCredential(*ManagedIdentityCredentialOptions) (*refused, error) {
	return nil, errNotBuilt
}

// NewWorkloadIdentityCredential refuses.
func NewWorkloadIdentityCredential(*WorkloadIdentityCredentialOptions) (*refused, error) {
	return nil, errNotBuilt
}

// NewClientSecretCredential refuses.
func NewClientSecretCredential(_, _, _ string, _ *ClientSecretCredentialOptions) (*refused, error) {
	return nil, errNotBuilt
}

// NewDefaultAzureCredential refuses.
func NewDefaultAzureCredential(*DefaultAzureCredentialOptions) (*refused, error) {
	return nil, errNotBuilt
}

// ParseCertificates refuses.
func ParseCertificates(_, _ []byte) ([]*x509.Certificate, crypto.PrivateKey, error) {
	return nil, nil, errNotBuilt
}

// NewClientCertificateCredential refuses.
func NewClientCertificateCredential(_, _ string, _ []*x509.Certificate, _ crypto.PrivateKey, _ *ClientCertificateCredentialOptions) (*refused, error) {
	return nil, errNotBuilt
}
