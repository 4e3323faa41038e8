import Base
import Engine
import Topology

/// What a command was called with.
struct Arguments {
    enum Kind: Sendable { case flag, value, values }

    private(set) var files: [String] = []
    private var values: [String: [String]] = [:]

    /// Reads options by the command's table of them; anything else is bad usage.
    init(_ words: [String], options: [String: Kind]) throws(Fault) {
        var rest = words[...]
        while let word = rest.popFirst() {
            guard word.hasPrefix("-"), word != "-" else {
                files.append(word)
                continue
            }
            var name = word
            var attached: String?
            if word.hasPrefix("--"), let equals = word.firstIndex(of: "=") {
                name = String(word[..<equals])
                attached = String(word[word.index(after: equals)...])
            }
            guard let kind = options[name] else {
                let known = options.keys.sorted().joined(separator: ", ")
                throw Fault(.user, "unknown option '\(name)'; there is \(known)")
            }
            if kind == .flag {
                if attached != nil { throw Fault(.user, "option \(name) takes no value") }
                values[name] = [""]
                continue
            }
            guard let value = attached ?? rest.popFirst() else {
                throw Fault(.user, "option \(name) needs a value")
            }
            if kind == .value, values[name] != nil { throw Fault(.user, "option \(name) is given twice") }
            values[name, default: []].append(value)
            // `--input orders=a.csv b.csv` takes what follows, up to the next option.
            if kind == .values, name == "--input" {
                while let next = rest.first, !next.hasPrefix("-"), !next.contains("=") {
                    values[name, default: []].append(next)
                    rest = rest.dropFirst()
                }
            }
        }
    }

    func has(_ name: String) -> Bool { values[name] != nil }
    func value(_ name: String) -> String? { values[name]?.last }
    func all(_ name: String) -> [String] { values[name] ?? [] }

    func integer(_ name: String, in range: ClosedRange<Int>) throws(Fault) -> Int? {
        guard let text = value(name) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw Fault(
                .user,
                "\(name) takes a whole number from \(range.lowerBound) to \(range.upperBound), not '\(text)'")
        }
        return number
    }

    /// `--set name=value`, any number of times.
    func parameters(_ option: String = "--set") throws(Fault) -> [String: String] {
        var parameters: [String: String] = [:]
        for text in all(option) {
            guard let equals = text.firstIndex(of: "=") else {
                throw Fault(.user, "\(option) takes name=value, not '\(text)'")
            }
            parameters[String(text[..<equals])] = String(text[text.index(after: equals)...])
        }
        return parameters
    }

    /// The one topology file that most commands take.
    func file() throws(Fault) -> String {
        guard files.count == 1 else {
            throw Fault(.user, "one topology file is expected, like Topologies/marketplace/topology.yaml")
        }
        return files[0]
    }

    /// The topology of a file, with the parameters of `--set`; nil after its diagnostics were printed.
    func topology(_ path: String) throws(Fault) -> TopologySpec? {
        try TopologyFile.read(path, parameters: parameters()) { say("\($0)") }
    }
}
