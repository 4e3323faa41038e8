import Base
import Models

/// `models:` at the top of a topology.
struct ModelReader {
    static let example = "models: { default-risk: models/default-risk }"
    static let keys = ["folder", "version", "alias"]

    let context: ReadingContext

    /// Every model of the file that has no mistake.
    func read(_ entries: [YamlEntry]) -> [ModelSpec] {
        entries.compactMap { entry in
            guard context.checkName(entry, "model") else { return nil }
            let model = read(entry)
            context.models[entry.key] = .init(model: model, position: entry.keyPosition)
            return model
        }
    }

    private func read(_ entry: YamlEntry) -> ModelSpec? {
        guard let (folder, version, alias) = readPlace(entry) else { return nil }
        var path = resolved(folder.text)
        if let alias {
            guard let version = self.version(of: alias, in: path, folder) else { return nil }
            path += "/versions/\(version)"
        } else if let version {
            guard isName(version) else { return nil }
            path += "/versions/\(version.text)"
        }
        let place = (version ?? alias ?? folder).position
        do throws(Fault) {
            let bytes = try self.bytes("\(path)/card.json")
            let card = try named("\(path)/card.json") { () throws(Fault) in try ModelCard(bytes) }
            let file = try self.bytes("\(path)/\(card.file)")
            let model = try named(path) { () throws(Fault) in try LoadedModel(card: card, file: file) }
            if let version, model.card.version != version.text {
                context.error(
                    version.position,
                    "\(path)/card.json: the card is of version '\(card.version)', not '\(version.shown)'")
                return nil
            }
            return ModelSpec(
                name: entry.key, model: model, cardSha256: Sha256.hex(bytes), position: entry.keyPosition)
        } catch {
            context.error(place, "model \(entry.key): \(error.detail)")
            return nil
        }
    }

    private func readPlace(_ entry: YamlEntry) -> (
        folder: ScalarText, version: ScalarText?, alias: ScalarText?
    )? {
        guard case .mapping = entry.value.content else {
            return context.scalar(entry.value, "model \(entry.key)", example: Self.example).map {
                ($0, nil, nil)
            }
        }
        guard
            let mapping = MappingReader(
                entry.value, "model \(entry.key)", keys: Self.keys, at: entry.keyPosition, context,
                example: Self.example)
        else { return nil }
        let folder = mapping.requiredText("folder", example: "folder: models/default-risk")
        let version = mapping.text("version", example: "version: \"3\"")
        let alias = mapping.text("alias", example: "alias: champion")
        if version != nil, alias != nil {
            context.error(
                mapping.keyPosition("alias"),
                "model \(entry.key) has a version and an alias, of which one is meant")
            return nil
        }
        for (key, text) in [("version", version), ("alias", alias)] where mapping.isGiven(key) && text == nil
        { return nil }
        return folder.map { ($0, version, alias) }
    }

    /// The version that `aliases.json` of a folder has for an alias.
    private func version(of alias: ScalarText, in path: String, _ folder: ScalarText) -> String? {
        let file = "\(path)/aliases.json"
        do throws(Fault) {
            let bytes = try self.bytes(file)
            return try named(file) { () throws(Fault) in
                let node = DocumentNode(try JsonDocument.read(bytes))
                guard let version = node.optional(alias.text) else {
                    let known = try node.members.map(\.name)
                    throw Fault(
                        .user, "no alias '\(alias.shown)'\(NearestName.hint(alias.text, among: known))")
                }
                let text = try version.text
                guard isPlain(text) else { throw Fault(.user, "'\(text)' is no version") }
                return text
            }
        } catch {
            context.error(alias.position, error.detail)
            return nil
        }
    }

    private func isName(_ version: ScalarText) -> Bool {
        if isPlain(version.text) { return true }
        context.error(
            version.position, "'\(version.shown)' is no version; it is the name of a folder under 'versions'")
        return false
    }

    private func isPlain(_ text: String) -> Bool {
        !text.isEmpty && !text.contains("/") && !text.hasPrefix(".") && !text.utf8.contains(0)
    }

    // MARK: Files

    /// Paths are relative to the topology's file.
    private func resolved(_ path: String) -> String {
        guard !path.hasPrefix("/"), let slash = context.file.lastIndex(of: "/") else { return path }
        return context.file[...slash] + path
    }

    private func bytes(_ path: String) throws(Fault) -> [UInt8] {
        try context.environment.fileBytes(path, Limits.modelBytesMax).get()
    }

    /// Faults of the body begin with the file's name.
    private func named<T>(_ path: String, _ body: () throws(Fault) -> T) throws(Fault) -> T {
        do throws(Fault) {
            return try body()
        } catch {
            throw error.detail.hasPrefix(path)
                ? error : Fault(error.domain, "\(path): \(error.detail)", retry: error.retry)
        }
    }
}

extension ReadingContext {
    /// A model of the topology's by its name; nil after a mistake.
    package func model(_ name: ScalarText) -> ModelSpec? {
        guard models[name.text] != nil else {
            let known = models.keys.sorted()
            let hint =
                known.isEmpty
                ? "; declare it: \(ModelReader.example)" : NearestName.hint(name.text, among: known)
            error(name.position, "no model '\(name.shown)'\(hint)")
            return nil
        }
        models[name.text]?.isUsed = true
        return models[name.text]?.model
    }
}
