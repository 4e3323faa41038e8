import Base
import Glibc
import Models
import Records

/// What a score costs: boosted trees, their reasons, and an LSTM, each of made-up weights, checked against
/// the plain computation first.
package enum BenchScore {
    private static let (trees, depth, features, rows) = (300, 6, 10, 2048)
    private static let (steps, channels, layers) = (60, 8, [128, 64])

    package static func run(records: Int) throws(Fault) -> BenchReport {
        var report = BenchReport("score")
        var random = SplitMix64(seed: 1)
        try benchTrees(records, &random, into: &report)
        try benchNetwork(max(64, records / 500), &random, into: &report)
        return report
    }

    // MARK: Trees

    private static func ensemble(_ random: inout SplitMix64) throws(Fault) -> TreeEnsemble<Float, Float> {
        var source: [DecisionTree<Float, Float>] = []
        for _ in 0..<trees {
            let inner = 1 << depth - 1
            var nodes: [DecisionTree<Float, Float>.Node] = []
            for place in 0..<2 * inner + 1 {
                var node = DecisionTree<Float, Float>.Node(cover: 1)
                if place < inner {
                    let feature = Int(random.next() % UInt64(features))
                    let split = Float.random(in: -1...1, using: &random)
                    let isLeft = random.next() % 2 == 0
                    node.test = DecisionTree<Float, Float>.Test(
                        feature: feature, split: split, missingGoesLeft: isLeft, left: 2 * place + 1,
                        right: 2 * place + 2)
                } else {
                    node.values = [Float.random(in: -0.1...0.1, using: &random)]
                }
                nodes.append(node)
            }
            // A node has the rows of both of its children.
            for place in (0..<inner).reversed() {
                nodes[place].cover = nodes[2 * place + 1].cover + nodes[2 * place + 2].cover
            }
            source.append(DecisionTree(nodes: nodes, output: 0))
        }
        return try TreeEnsemble(source, base: [-0.5], featureCount: features)
    }

    /// Tree by tree and node by node.
    private static func plain(_ ensemble: TreeEnsemble<Float, Float>, _ row: [Double]) -> Float {
        ensemble.source.reduce(ensemble.base[0]) { sum, tree in
            var node = tree.nodes[0]
            while let test = node.test {
                let value = Float(row[test.feature])
                node =
                    tree.nodes[
                        (value.isNaN ? test.missingGoesLeft : value < test.split) ? test.left : test.right]
            }
            return sum + node.values[0]
        }
    }

    private static func benchTrees(_ records: Int, _ random: inout SplitMix64, into report: inout BenchReport)
        throws(Fault)
    {
        let ensemble = try ensemble(&random)
        let model = Model(
            kind: .single(ensemble), trainer: "none", objective: "none", link: .identity, features: [])
        let scorer = model.makeScorer()
        let values = UnsafeMutablePointer<Double>.allocate(capacity: features * rows)
        let margins = UnsafeMutablePointer<Double>.allocate(capacity: rows)
        defer {
            values.deallocate()
            margins.deallocate()
        }
        for place in 0..<features * rows {
            values[place] = random.next() % 10 == 0 ? .nan : Double.random(in: -1...1, using: &random)
        }
        margins.initialize(repeating: 0, count: rows)
        let columns = (0..<features).map { UnsafePointer(values + $0 * rows) }
        func score(_ count: Int) {
            columns.withUnsafeBufferPointer { columns in
                if let columns = columns.baseAddress { scorer(columns, count, margins) }
            }
        }
        func row(_ index: Int) -> [Double] { (0..<features).map { values[$0 * rows + index] } }
        score(rows)
        for index in 0..<rows where Float(margins[index]) != plain(ensemble, row(index)) {
            throw Fault(
                .defect, "row \(index): \(margins[index]), and tree by tree \(plain(ensemble, row(index)))")
        }
        report.add(
            "trees, depth, features",
            "\(trees), \(depth), \(features); margins of \(rows) rows equal tree by tree in every bit")
        for (name, batch) in [("one row", 1), ("16 rows", 16), ("2,048 rows", rows)] {
            let rounds = max(1, records / batch / (batch == 1 ? 16 : 1))
            let times = (0..<5).map { _ in
                let start = BenchClock.cpuNanoseconds()
                for _ in 0..<rounds { score(batch) }
                return Double(BenchClock.cpuNanoseconds() - start) / Double(rounds * batch) / 1000
            }
            report.add("trees, \(name) at a time", median(times), "us a row")
        }
        let explain = model.makeExplainer()
        let count = 50
        let start = BenchClock.cpuNanoseconds()
        var farthest = 0.0
        for index in 0..<count {
            let (contributions, bias) = explain(row(index))
            farthest = max(farthest, abs(contributions.reduce(bias, +) - margins[index]))
        }
        let milliseconds = Double(BenchClock.cpuNanoseconds() - start) / Double(count) / 1e6
        guard farthest < 1e-4 else { throw Fault(.defect, "contributions are \(farthest) from the margin") }
        report.add(
            "reasons of a row", milliseconds,
            "ms; contributions add up to the margin within \(Float(farthest))")
    }

    // MARK: Network

    private static func network(_ random: inout SplitMix64) throws(Fault) -> LstmNetwork {
        var (header, data) = ("", [UInt8]())
        func tensor(_ name: String, _ shape: [Int]) {
            let begin = data.count
            for _ in 0..<shape.reduce(1, *) {
                withUnsafeBytes(of: Float.random(in: -0.1...0.1, using: &random).bitPattern.littleEndian) {
                    data += $0
                }
            }
            header +=
                "\(header.isEmpty ? "{" : ",")\"\(name)\":{\"dtype\":\"F32\",\"shape\":\(shape),\"data_offsets\":[\(begin),\(data.count)]}"
        }
        var inputs = channels
        for (place, units) in layers.enumerated() {
            tensor("l\(place).weight_ih_l0", [4 * units, inputs])
            tensor("l\(place).weight_hh_l0", [4 * units, units])
            tensor("l\(place).bias_ih_l0", [4 * units])
            tensor("l\(place).bias_hh_l0", [4 * units])
            inputs = units
        }
        tensor("head.weight", [1, inputs])
        tensor("head.bias", [1])
        header += "}"
        let length = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) }
        return try LstmNetwork(
            .init(
                steps: steps, channels: channels, layers: layers.enumerated().map { ("l\($0)", $1) },
                head: ("head", 1)),
            try Safetensors(length + Array(header.utf8) + data))
    }

    private static func benchNetwork(
        _ records: Int, _ random: inout SplitMix64, into report: inout BenchReport
    ) throws(Fault) {
        let network = try network(&random)
        let scoring = LstmScoring(network)
        let (width, most) = (steps * channels, 64)
        let values = UnsafeMutablePointer<Double>.allocate(capacity: width * most)
        defer { values.deallocate() }
        for place in 0..<width * most { values[place] = Double.random(in: -2...2, using: &random) }
        let columns = (0..<width).map { UnsafePointer(values + $0 * most) }
        let scale = Array(repeating: ModelCard.Channel(name: "", mean: 0, deviation: 1), count: channels)
        var margins = Array(repeating: 0.0, count: most)
        func score(_ count: Int) {
            columns.withUnsafeBufferPointer { columns in
                margins.withUnsafeMutableBufferPointer { margins in
                    if let columns = columns.baseAddress, let margins = margins.baseAddress {
                        scoring.score(columns, channels: scale, count: count, into: margins)
                    }
                }
            }
        }
        score(most)
        let together = margins
        for sequence in 0..<most {
            for place in 0..<width { values[place * most] = values[place * most + sequence] }
            score(1)
            guard margins[0] == together[sequence] else {
                throw Fault(.defect, "sequence \(sequence) is another by itself")
            }
        }
        report.add(
            "LSTM",
            "\(layers) units, \(steps) steps of \(channels), \(network.operations / 1_000_000) million operations; one by one the same bits"
        )
        for (name, batch) in [("one sequence", 1), ("16 sequences", 16), ("64 sequences", most)] {
            let rounds = max(1, records / batch / 8)
            let start = BenchClock.cpuNanoseconds()
            for _ in 0..<rounds { score(batch) }
            report.add(
                "LSTM, \(name) at a time",
                Double(BenchClock.cpuNanoseconds() - start) / Double(rounds * batch) / 1e6, "ms a sequence")
        }
    }
}
