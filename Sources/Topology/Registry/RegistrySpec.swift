/// Where a schema registry is, and who asks it.
package struct RegistrySpec: Hashable, Sendable {
    /// Without a slash at its end.
    package var url: String
    /// `name:password`
    package var credentials: String?
    package var token: String?
    package var certificateAuthority: String?

    package init(
        url: String, credentials: String? = nil, token: String? = nil, certificateAuthority: String? = nil
    ) {
        (self.url, self.credentials, self.token) = (url, credentials, token)
        self.certificateAuthority = certificateAuthority
    }
}
