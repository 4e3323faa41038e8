import Base
import Records
import Topology

/// Compares the headers of a source's files with its schema. What cannot be read right is refused; what is
/// missing is told once.
package struct HeaderCheck {
    private let source: SourceSpec
    private var told: Set<String> = []

    package init(_ source: SourceSpec) { self.source = source }

    /// Warnings, in the order of the schema. `line`: where the header stands in the file.
    package mutating func check(_ names: [String], path: String, line: Int) throws(Fault) -> [String] {
        let place = "\(path):\(line)"
        if let warnings = try source.publishedFormat.checkHeader(names, source, place: path) {
            return warnings.filter { told.insert($0).inserted }
        }
        let declared = source.declared
        for field in declared {
            let places = names.indices.filter { names[$0] == field.name }
            guard places.count > 1 else { continue }
            let list = places.map { String($0 + 1) }.joined(separator: " and ")
            throw Fault(
                .user,
                "\(place): the header has the column '\(field.name)' \(places.count) times (columns \(list)); "
                    + "name the columns yourself: format: { type: \(source.format.name), skip: \(line), "
                    + "columns: [\(shown(Self.unique(names)))] }")
        }
        let missing = declared.filter { !names.contains($0.name) }
        if missing.count == declared.count {
            throw Fault(
                .user,
                "\(place): no column of source \(source.name) stands in the header (\(shown(names)))"
                    + hint(names))
        }
        return missing.filter { told.insert($0.name).inserted }.map { field in
            let isUsed = source.wire.contains { $0.path == field.path }
            let effect =
                field.field.isOptional
                ? "it is null in every record"
                : isUsed ? "it is not optional, so that every record is refused" : "nothing uses it"
            let hint = nearest(field.name, names)
            return "\(path) has no column \"\(field.name)\": \(effect)\(hint)"
        }
    }

    /// The names with a number behind those that were there before.
    private static func unique(_ names: [String]) -> [String] {
        var counts: [String: Int] = [:]
        return names.map { name in
            counts[name, default: 0] += 1
            let count = counts[name] ?? 1
            return count == 1 ? name : "\(name)_\(count)"
        }
    }

    private func nearest(_ name: String, _ names: [String]) -> String {
        func isPadded(_ other: String) -> Bool {
            other != name && other.split { $0 == " " || $0 == "\t" }.joined(separator: " ") == name
        }
        if let padded = names.first(where: isPadded) {
            return "; it has \"\(padded)\", say format: { type: \(CsvFormat.key), trim: true }"
        }
        guard let meant = NearestName.nearest(to: name, among: names) else { return "" }
        return "; did you mean \"\(meant)\"? (\(name): { from: \"`\(meant)`\" … })"
    }

    /// Why none of the names fits.
    private func hint(_ names: [String]) -> String {
        let isCut = names.count == 1
        for (delimiter, name) in [(";", "\";\""), ("\t", "tab"), ("|", "\"|\""), (",", "\",\"")] {
            let parts = names[0].split(separator: Character(delimiter)).map(String.init)
            if isCut, parts.count > 1, source.declared.contains(where: { parts.contains($0.name) }) {
                return "; say format: { type: \(CsvFormat.key), delimiter: \(name) }"
            }
        }
        if let name = source.declared.lazy.compactMap({ field in
            names.first { $0.lowercased() == field.name.lowercased() }
        }).first {
            let meant = source.declared.first { $0.name.lowercased() == name.lowercased() }?.name ?? name
            return "; \"\(name)\" is written otherwise: say \(meant): { type: …, from: \"`\(name)`\" }"
        }
        return "; say format: { type: \(source.format.name), skip: N } if the header comes after N lines, "
            + "header: false if there is none, "
            + (source.format.name == CsvFormat.key ? "" : "type: \(CsvFormat.key) with a ")
            + "delimiter or trim: true if its columns are written otherwise"
    }

    private func shown(_ names: [String]) -> String {
        let text = names.prefix(20).joined(separator: ", ")
        let isCut = text.utf8.count > 200 || names.count > 20
        return isCut ? String(text.prefix(200)) + "…" : text
    }
}
