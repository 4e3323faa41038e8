import Base
import Topology

/// The people and programs that may come in, from a file:
///
///     lin: { password: "$y$…", roles: [analyst], language: zh }
///     ci: { key: "sha256:…", roles: [author] }
package struct UsersFile: Sendable {
    package struct Person: Sendable {
        package var name: String
        /// As crypt(5) writes it; nil: who comes by the name in a proxy's header only, or a program.
        package var password: String?
        /// SHA-256 of an API key, in hexadecimal digits.
        package var key: String?
        package var roles: Set<Role>
        package var language: String?
    }

    package private(set) var people: [String: Person] = [:]

    package init() {}

    package static func read(_ path: String) throws(Fault) -> UsersFile {
        try UsersFile(FileText.read(path), file: path)
    }

    /// Throws with every mistake of the text, one a line.
    package init(_ text: String, file: String) throws(Fault) {
        let (root, diagnostics) = YamlReader.read(text, file: file)
        var mistakes = diagnostics.map { "\($0)" }
        func mistake(_ position: Position, _ message: String) {
            mistakes.append("\(Diagnostic(file: file, at: position, message))")
        }
        if let root, !root.isNull {
            if root.mapping == nil {
                mistake(
                    root.position, "people by name were expected, like lin: { password: …, roles: [analyst] }"
                )
            }
            for entry in root.mapping ?? [] {
                if let person = Self.person(entry, mistake) { people[person.name] = person }
            }
        }
        if !mistakes.isEmpty { throw Fault(.user, mistakes.joined(separator: "\n")) }
    }

    package static func isName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 64
            && name.unicodeScalars.allSatisfy {
                $0.properties.isAlphabetic || ("0"..."9").contains($0) || ".-_@".unicodeScalars.contains($0)
            }
    }

    private static func person(_ entry: YamlEntry, _ mistake: (Position, String) -> Void) -> Person? {
        guard isName(entry.key) else {
            mistake(
                entry.keyPosition,
                "'\(entry.key.prefix(64))' is no name: letters, digits and . - _ @, at most 64 bytes")
            return nil
        }
        guard let members = entry.value.mapping else {
            mistake(entry.value.position, "members were expected, like { password: …, roles: [analyst] }")
            return nil
        }
        var person = Person(name: entry.key, roles: [])
        for member in members {
            let text = member.value.scalar?.text
            switch member.key {
            case "password":
                person.password = text
                if text?.hasPrefix("$") != true {
                    mistake(
                        member.value.position,
                        "a password stands here as `millrace console user add` prints it, never itself")
                }
            case "key":
                person.key = text.flatMap { $0.hasPrefix("sha256:") ? String($0.dropFirst(7)) : nil }
                if person.key?.count != 64 {
                    mistake(
                        member.value.position,
                        "sha256: and 64 digits, as `millrace console user add --api-key` prints it")
                }
            case "language":
                person.language = text
                if text != "en", text != "zh" { mistake(member.value.position, "there is en and zh") }
            case "roles":
                for node in member.value.sequence ?? [member.value] {
                    let name = node.scalar?.text ?? ""
                    guard let role = Role(rawValue: name) else {
                        let known = Role.allCases.map(\.rawValue)
                        mistake(
                            node.position,
                            "'\(name)' is no role\(NearestName.hint(name, among: known)); there is \(known.joined(separator: ", "))"
                        )
                        continue
                    }
                    person.roles.insert(role)
                }
            default:
                mistake(
                    member.keyPosition,
                    "'\(member.key)' is unknown\(NearestName.hint(member.key, among: ["password", "key", "roles", "language"]))"
                )
            }
        }
        if person.roles.isEmpty { mistake(entry.keyPosition, "\(entry.key) has no roles") }
        person.roles.insert(.viewer)
        return person
    }
}
