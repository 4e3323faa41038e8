/// `registry: { url, user, password | token, ca }` and `framing:` of formats whose records may have their
/// schema's id before them.
package enum RegistryOptions {
    package static let keys = ["registry", "framing"]
    private static let example = "registry: { url: \"https://registry:8081\" }"

    package static func isFramed(_ options: MappingReader, _ context: ReadingContext) -> Bool? {
        options["framing"].flatMap { context.choice($0, "framing", ["confluent", "none"]) }.map {
            $0 == "confluent"
        }
    }

    package static func registry(_ options: MappingReader, _ context: ReadingContext) -> RegistrySpec? {
        guard let node = options["registry"],
            let mapping = MappingReader(
                node, "registry", keys: ["url", "user", "password", "token", "ca"],
                at: options.keyPosition("registry"), context, example: example),
            let url = mapping.requiredText("url", example: "url: \"https://registry:8081\"")
        else { return nil }
        let isGood = url.text.hasPrefix("http://") || url.text.hasPrefix("https://")
        if !isGood || url.text.contains("@") || url.text.contains("?") || url.text.contains("#") {
            context.error(
                url.position,
                "the url of a registry is http://host:port or https://host:port, with nothing of a log-in; "
                    + "write user: and password:")
            return nil
        }
        let user = mapping.text("user", example: "user: millrace")
        let password = mapping.text("password", example: "password: \"${env:REGISTRY_PASSWORD}\"")
        let token = mapping.text("token", example: "token: \"${env:REGISTRY_TOKEN}\"")
        if mapping.isGiven("user") != mapping.isGiven("password") {
            context.error(
                mapping.keyPosition(mapping.isGiven("user") ? "user" : "password"),
                "'user' and 'password' go together; write password: \"${env:REGISTRY_PASSWORD}\"")
        }
        if token != nil, user != nil {
            context.error(mapping.keyPosition("token"), "a token, or user and password, not both")
        }
        for (key, secret) in [("password", password), ("token", token)] {
            if let secret, !secret.isSecret {
                context.error(
                    secret.position,
                    "a \(key) does not stand in the file; write \(key): \"${env:REGISTRY_\(key.uppercased())}\""
                )
            }
        }
        let ca = mapping.text("ca", example: "ca: registry.pem")
        return RegistrySpec(
            url: url.text.hasSuffix("/") ? String(url.text.dropLast()) : url.text,
            credentials: user.flatMap { user in password.map { "\(user.text):\($0.text)" } },
            token: token?.text, certificateAuthority: ca?.text)
    }
}
