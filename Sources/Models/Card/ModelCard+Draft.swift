import Base

extension ModelCard {
    /// Samples of a card.
    package static let samplesMax = 20
    /// Bins of a feature's histogram, where its values are that many.
    private static let bins = 10

    /// The card of a model that was trained elsewhere. `rows` have the features by name, and may have what
    /// the trainer's library predicts in `margin` (`margin.0` … of several outputs), which is then met or the
    /// model is refused.
    package static func draft(
        file: String, _ bytes: [UInt8], rows: FeatureRows, name: String, version: String, iterations: Int?,
        from draft: ModelCard?
    ) throws(Fault) -> ModelCard {
        guard !rows.rows.isEmpty else { throw Fault(.user, "the rows are none") }
        var card: ModelCard
        if let draft {
            card = draft
        } else {
            card = ModelCard(
                name: name, version: version, format: try ModelFile.format(of: bytes), file: file, sha256: "",
                features: [])
        }
        (card.name, card.version, card.file, card.iterations) = (name, version, file, iterations)
        card.sha256 = Sha256.hex(bytes)
        let stated = rows.names.filter { $0 == "margin" || $0.hasPrefix("margin.") }
        if card.format == .lstm {
            guard card.network != nil else {
                throw Fault(.user, "safetensors: --card says how the tensors are put together (network)")
            }
        } else {
            let (model, format) = try ModelFile.read(bytes, iterations: iterations)
            card.format = format
            card.features = try features(model, rows, stated, units: draft?.features ?? [])
        }
        card.scores = nil
        card.samples = []
        let unchecked = try LoadedModel(card: card, file: bytes)
        let places = try rows.places(of: unchecked.columnNames)
        let scoring = ModelScoring(unchecked)
        let outputs = unchecked.outputs
        let wanted =
            stated.isEmpty
            ? [] : try rows.places(of: outputs == 1 ? ["margin"] : (0..<outputs).map { "margin.\($0)" })
        for (index, row) in rows.rows.prefix(samplesMax).enumerated() {
            let texts = places.map { row[$0] }
            var margins = try scoring.margins(texts)
            if !wanted.isEmpty {
                margins = []
                for place in wanted {
                    guard let text = row[place], let margin = Double(text) else {
                        throw Fault(.user, "\(rows.lines[index]): margin is no number")
                    }
                    margins.append(margin)
                }
            }
            card.samples.append(Sample(features: texts, margins: margins))
        }
        // It must agree with what was stated before it is written.
        let checked = try LoadedModel(card: card, file: bytes)
        if outputs == 1 {
            var scores: [Double] = []
            // As a stream has them, so that one that is on an edge stays on its side.
            try RowScoring(checked).score(rows) {
                scores.append(($2[0] * 1e6).rounded(.toNearestOrEven) / 1e6)
            }
            card.scores = Histogram(scores, bins: bins)
        }
        return card
    }

    private static func features(_ model: Model, _ rows: FeatureRows, _ stated: [String], units: [Feature])
        throws(Fault) -> [Feature]
    {
        // A file without names takes its features in the columns' order.
        let columns = rows.names.filter { !stated.contains($0) }
        let isNamed = model.features.allSatisfy { $0.name != nil }
        if !isNamed, columns.count != model.features.count {
            throw Fault(
                .user,
                "the file names no features, so that the rows' columns must be its \(model.features.count) in their order; there are \(columns.count)"
            )
        }
        let names = isNamed ? model.features.map { $0.name ?? "" } : columns
        let places = try rows.places(of: names)
        var features: [Feature] = []
        for (index, name) in names.enumerated() {
            var feature = Feature(name: name, isCategory: model.features[index].isCategorical)
            feature.unit = units.first { $0.name == name }?.unit
            var values: [Double] = []
            for (row, texts) in rows.rows.enumerated() {
                do throws(Fault) {
                    values.append(try model.features[index].value(texts[places[index]]))
                } catch {
                    throw Fault(.user, "\(rows.lines[row]): \(error.detail)")
                }
            }
            let known = values.filter { !$0.isNaN }
            (feature.least, feature.greatest) = (known.min(), known.max())
            if !known.isEmpty {
                feature.histogram =
                    feature.isCategory ? Histogram(codes: values) : Histogram(values, bins: bins)
            }
            features.append(feature)
        }
        return features
    }
}

extension ModelCard.Histogram {
    /// A bin for each code up to the greatest; the last has what is beyond.
    init(codes: [Double]) {
        let known = codes.filter { !$0.isNaN }
        edges = (1...64).map(Double.init).filter { $0 <= known.max() ?? 0 }
        counts = Array(repeating: 0, count: edges.count + 1)
        missing = codes.count - known.count
        for code in known { counts[edges.firstIndex { code < $0 } ?? edges.count] += 1 }
    }

    /// Bins that hold as many values each, as far as equal values allow: a value that fills a bin alone has
    /// one of its own. NaN is missing.
    package init(_ values: [Double], bins: Int) {
        let sorted = values.filter { !$0.isNaN }.sorted()
        var edges: [Double] = []
        func add(_ edge: Double) { if edge > edges.last ?? sorted[0] { edges.append(edge) } }
        var cut = sorted.first
        for bin in 1..<bins where !sorted.isEmpty {
            let next = sorted[sorted.count * bin / bins]
            // The value before is in every place from one cut to the next.
            if next == cut, let above = sorted.first(where: { $0 > next }) { add(above) } else { add(next) }
            cut = next
        }
        self.edges = edges
        counts = Array(repeating: 0, count: edges.count + 1)
        missing = values.count - sorted.count
        for value in sorted { counts[edges.firstIndex { value < $0 } ?? edges.count] += 1 }
    }
}

extension FeatureRows {
    package func first(_ count: Int) -> FeatureRows {
        var rows = self
        rows.rows = Array(self.rows.prefix(count))
        rows.lines = Array(lines.prefix(count))
        return rows
    }
}

extension LoadedModel {
    /// Names that a CSV's header has: of a network `channel.0` … for its steps, oldest first.
    package var columnNames: [String] {
        switch body {
        case .trees: card.features.map(\.name)
        case .network(let network):
            (0..<network.architecture.steps).flatMap { step in
                (card.network?.channels ?? []).map { "\($0.name).\(step)" }
            }
        }
    }
}

/// Scores all rows of a CSV, a batch at a time.
package struct RowScoring {
    private static let batch = 256
    private let scoring: ModelScoring

    package init(_ model: LoadedModel) { scoring = ModelScoring(model) }

    package static func header(outputs: Int) -> String {
        outputs == 1
            ? "row,margin,score"
            : "row," + (0..<outputs).map { "margin.\($0),score.\($0)" }.joined(separator: ",")
    }

    package func score(
        _ rows: FeatureRows, _ body: (_ row: Int, _ margins: [Double], _ scores: [Double]) -> Void
    ) throws(Fault) {
        let model = scoring.model
        let places = try rows.places(of: model.columnNames)
        var features: [Model.Feature] = []
        switch model.body {
        case .trees(let trees):
            features = trees.features
            for index in features.indices { features[index].name = model.card.features[index].name }
        case .network: features = model.columnNames.map { Model.Feature(name: $0) }
        }
        let room = UnsafeMutablePointer<Double>.allocate(capacity: places.count * Self.batch)
        let margins = UnsafeMutablePointer<Double>.allocate(capacity: model.outputs * Self.batch)
        defer {
            room.deallocate()
            margins.deallocate()
        }
        let columns = places.indices.map { UnsafePointer(room + $0 * Self.batch) }
        var first = 0
        while first < rows.rows.count {
            let count = min(Self.batch, rows.rows.count - first)
            for row in 0..<count {
                for (index, place) in places.enumerated() {
                    do throws(Fault) {
                        room[index * Self.batch + row] = try features[index].value(
                            rows.rows[first + row][place])
                    } catch {
                        throw Fault(.user, "\(rows.lines[first + row]): \(error.detail)")
                    }
                }
            }
            columns.withUnsafeBufferPointer { columns in
                guard let columns = columns.baseAddress else { return }
                scoring.score(columns, count: count, into: margins)
            }
            for row in 0..<count {
                let rowMargins = Array(
                    UnsafeBufferPointer(start: margins + row * model.outputs, count: model.outputs))
                body(first + row, rowMargins, model.scores(rowMargins))
            }
            first += count
        }
    }
}
