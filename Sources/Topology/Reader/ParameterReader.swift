import Records

/// A value of a topology that people change without reading the rest of the file.
package struct ParameterSpec: Equatable, Sendable {
    package var name: String
    /// As it counts: the file's default, or what was given in its place. A secret as it is written.
    package var value: String
    /// nil: the file has none.
    package var standard: String?
    package var description: String?
    /// By language (`zh`, `en`), what a form calls it.
    package var labels: [String: String] = [:]
    package var unit: String?
    /// Beyond these no file is read.
    package var least: String?
    package var most: String?
    /// How far a step of a form goes.
    package var step: String?
    /// Where nobody has to look twice; a change beyond it takes more approvals.
    package var soft: (least: String, most: String)?

    init(name: String, value: String) { (self.name, self.value) = (name, value) }

    /// Beyond its soft range; false where it has none.
    package var isOutsideSoft: Bool {
        guard let soft, let value = ParameterNumber(value), let least = ParameterNumber(soft.least),
            let most = ParameterNumber(soft.most)
        else { return false }
        return value < least || most < value
    }

    package static func == (a: ParameterSpec, b: ParameterSpec) -> Bool {
        a.name == b.name && a.value == b.value && a.standard == b.standard && a.description == b.description
            && a.labels == b.labels && a.unit == b.unit && a.least == b.least && a.most == b.most
            && a.step == b.step
            && a.soft?.least == b.soft?.least && a.soft?.most == b.soft?.most
    }
}

/// A number or a duration, for comparing those of one kind.
struct ParameterNumber: Comparable {
    enum Kind { case number, duration }
    let kind: Kind
    /// Millionths, or milliseconds.
    let value: Int64

    init?(_ text: String) {
        if case .success(let value) = Decimal.parse(text, scale: 6) {
            (kind, self.value) = (.number, value)
        } else if let duration = try? DurationText.parse(text) {
            (kind, value) = (.duration, duration.milliseconds)
        } else {
            return nil
        }
    }

    static func < (a: ParameterNumber, b: ParameterNumber) -> Bool { a.value < b.value }
}

/// Reads one entry of `parameters:`.
struct ParameterReader {
    let context: ReadingContext
    static let keys = ["default", "description", "label", "unit", "min", "max", "step", "soft"]

    /// - Parameter given: what stands in place of the file's value; nil: nothing.
    /// - Returns: the value that counts, nil after a mistake, and what is known of the parameter.
    func read(_ entry: YamlEntry, given: ScalarText?) -> (value: ScalarText?, spec: ParameterSpec) {
        var spec = ParameterSpec(name: entry.key, value: "")
        var standard: ScalarText?
        if case .mapping = entry.value.content {
            let mapping = MappingReader(
                entry.value, "parameter \(entry.key)", keys: Self.keys, at: entry.keyPosition, context,
                example: "\(entry.key): 5")
            guard let mapping else { return (nil, spec) }
            readTexts(mapping, &spec)
            standard = mapping["default"].flatMap { context.scalar($0, "default", example: "default: 5") }
            if !mapping.isGiven("default"), given == nil {
                context.error(
                    entry.keyPosition,
                    "parameter \(entry.key) has no default; give --set \(entry.key)=VALUE, or write default: 5"
                )
            }
            spec.standard = standard?.shown
            let value = given ?? standard
            spec.value = value?.shown ?? ""
            readRange(mapping, value, &spec)
            return (value, spec)
        }
        standard = context.scalar(entry.value, entry.key, example: "\(entry.key): 5")
        spec.standard = standard?.shown
        let value = given ?? standard
        spec.value = value?.shown ?? ""
        return (value, spec)
    }

    private func readTexts(_ mapping: MappingReader, _ spec: inout ParameterSpec) {
        spec.description = mapping.text("description", example: "description: ...")?.text
        spec.unit = mapping.text("unit", example: "unit: yuan")?.text
        guard let node = mapping["label"] else { return }
        guard case .mapping = node.content else {
            if let text = context.scalar(node, "label", example: "label: { en: Limit, zh: 限额 }") {
                spec.labels["en"] = text.text
            }
            return
        }
        let languages = MappingReader(
            node, "label", keys: ["en", "zh"], at: mapping.keyPosition("label"), context,
            example: "label: { en: Limit, zh: 限额 }")
        for language in ["en", "zh"] {
            spec.labels[language] = languages?.text(language, example: "\(language): Limit")?.text
        }
    }

    private func readRange(_ mapping: MappingReader, _ value: ScalarText?, _ spec: inout ParameterSpec) {
        var bounds: [(key: String, text: ScalarText, number: ParameterNumber)] = []
        func bound(_ key: String, _ text: ScalarText?) -> String? {
            guard let text else { return nil }
            guard let number = ParameterNumber(text.text) else {
                context.error(text.position, "\(key) needs a number or a duration, not '\(text.shown)'")
                return nil
            }
            bounds.append((key, text, number))
            return text.text
        }
        spec.least = bound("min", mapping.text("min", example: "min: 1"))
        spec.most = bound("max", mapping.text("max", example: "max: 100"))
        spec.step = bound("step", mapping.text("step", example: "step: 1"))
        if let node = mapping["soft"] {
            guard let nodes = node.sequence, nodes.count == 2 else {
                context.error(node.position, "soft needs the range that is usual; write soft: [10, 50]")
                return
            }
            let ends = nodes.compactMap {
                bound("soft", context.scalar($0, "soft", example: "soft: [10, 50]"))
            }
            if ends.count == 2 { spec.soft = (ends[0], ends[1]) }
        }
        guard let value, !bounds.isEmpty else { return }
        guard let number = ParameterNumber(value.text) else {
            context.error(
                value.position,
                "parameter \(spec.name) has bounds, so its value is a number or a duration, not '\(value.shown)'"
            )
            return
        }
        for bound in bounds where bound.number.kind != number.kind {
            context.error(
                bound.text.position,
                "\(bound.key) is \(bound.number.kind == .number ? "a number" : "a duration"), and the value '\(value.shown)' is "
                    + (number.kind == .number ? "a number" : "a duration"))
            return
        }
        check(spec, value, number)
    }

    private func check(_ spec: ParameterSpec, _ value: ScalarText, _ number: ParameterNumber) {
        let least = spec.least.flatMap(ParameterNumber.init)
        let most = spec.most.flatMap(ParameterNumber.init)
        if let least, let most, most < least {
            context.error(
                value.position,
                "parameter \(spec.name): min \(spec.least ?? "") is above max \(spec.most ?? "")")
        } else if let least, number < least {
            context.error(
                value.position,
                "parameter \(spec.name) is \(value.shown), below its min of \(spec.least ?? "")")
        } else if let most, most < number {
            context.error(
                value.position,
                "parameter \(spec.name) is \(value.shown), above its max of \(spec.most ?? "")")
        }
        if let step = spec.step.flatMap(ParameterNumber.init), step.value <= 0 {
            context.error(value.position, "parameter \(spec.name): step must be above 0")
        }
        if let soft = spec.soft, let low = ParameterNumber(soft.least), let high = ParameterNumber(soft.most),
            high < low
        {
            context.error(value.position, "parameter \(spec.name): soft begins above its end")
        }
    }
}
