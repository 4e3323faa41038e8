import Base
import CKernels

/// Layers of LSTM and a dense one behind the last step, with weights as PyTorch names them:
/// `<layer>.weight_ih_l0` (4 x units, inputs), `.weight_hh_l0`, `.bias_ih_l0`, `.bias_hh_l0`, gates in the
/// order i, f, g, o; `<head>.weight`, `.bias`.
///
/// Sixteen sequences are worked on side by side; each neuron's sum goes over its inputs in order, so the
/// bytes are the same for every batch, kernel and machine.
package final class LstmNetwork: Sendable {
    package struct Architecture: Sendable, Equatable {
        package var steps: Int
        package var channels: Int
        /// Name of its tensors, and units.
        package var layers: [(name: String, units: Int)]
        package var head: (name: String, units: Int)

        package init(
            steps: Int, channels: Int, layers: [(name: String, units: Int)], head: (name: String, units: Int)
        ) {
            self.steps = steps
            self.channels = channels
            self.layers = layers
            self.head = head
        }

        package static func == (a: Self, b: Self) -> Bool {
            a.steps == b.steps && a.channels == b.channels && a.head == b.head
                && a.layers.count == b.layers.count && zip(a.layers, b.layers).allSatisfy { $0 == $1 }
        }
    }

    struct Layer: Sendable {
        var inputs: Int
        var units: Int
        /// As the kernel wants them.
        var weights: [Float]
        var bias: [Float]
    }

    package let architecture: Architecture
    let layers: [Layer]
    let head: Layer

    package init(_ architecture: Architecture, _ file: Safetensors) throws(Fault) {
        guard architecture.steps > 0, architecture.steps <= Limits.modelStepsMax, architecture.channels > 0,
            architecture.channels <= Limits.modelFeaturesMax
        else { throw Fault(.user, "\(architecture.steps) steps of \(architecture.channels) channels") }
        self.architecture = architecture
        var layers: [Layer] = []
        var inputs = architecture.channels
        for (name, units) in architecture.layers {
            guard units > 0, units <= Limits.modelUnitsMax else {
                throw Fault(.user, "layer '\(name)': \(units) units")
            }
            let input = try file.tensor("\(name).weight_ih_l0", shape: [4 * units, inputs])
            let recurrent = try file.tensor("\(name).weight_hh_l0", shape: [4 * units, units])
            let first = try file.tensor("\(name).bias_ih_l0", shape: [4 * units])
            let second = try file.tensor("\(name).bias_hh_l0", shape: [4 * units])
            var (weights, bias): ([Float], [Float]) = ([], [])
            for unit in 0..<units {
                for gate in 0..<4 { bias.append(first[gate * units + unit] + second[gate * units + unit]) }
                for k in 0..<inputs {
                    for gate in 0..<4 { weights.append(input[(gate * units + unit) * inputs + k]) }
                }
                for k in 0..<units {
                    for gate in 0..<4 { weights.append(recurrent[(gate * units + unit) * units + k]) }
                }
            }
            layers.append(Layer(inputs: inputs, units: units, weights: weights, bias: bias))
            inputs = units
        }
        guard !layers.isEmpty else { throw Fault(.user, "no layers") }
        self.layers = layers
        let (name, units) = architecture.head
        head = Layer(
            inputs: inputs, units: units, weights: try file.tensor("\(name).weight", shape: [units, inputs]),
            bias: try file.tensor("\(name).bias", shape: [units]))
    }

    package var outputs: Int { head.units }
    package var parameterCount: Int {
        (layers + [head]).reduce(0) { $0 + $1.weights.count } + layers.reduce(0) { $0 + $1.bias.count }
            + head.bias.count
    }
    /// Multiplications and additions of one sequence.
    package var operations: Int {
        layers.reduce(0) { $0 + 2 * $1.weights.count } * architecture.steps + 2 * head.weights.count
    }
}

/// Scores sequences with one network: scratch of one thread.
package final class LstmScoring {
    package let network: LstmNetwork
    private let inputs: UnsafeMutablePointer<Float>
    private let outputs: [UnsafeMutablePointer<Float>]
    private let state: UnsafeMutablePointer<Float>
    private let result: UnsafeMutablePointer<Float>

    package static let lanes = Int(ckernels_lanes)

    package init(_ network: LstmNetwork) {
        self.network = network
        let steps = network.architecture.steps
        func room(_ count: Int) -> UnsafeMutablePointer<Float> {
            let room = UnsafeMutablePointer<Float>.allocate(capacity: count * Self.lanes)
            room.initialize(repeating: 0, count: count * Self.lanes)
            return room
        }
        inputs = room(steps * network.architecture.channels)
        outputs = network.layers.map { room(steps * $0.units) }
        state = room(network.layers.reduce(0) { max($0, $1.units) })
        result = room(network.outputs)
    }

    deinit {
        inputs.deallocate()
        for output in outputs { output.deallocate() }
        state.deallocate()
        result.deallocate()
    }

    /// `columns[step * channels + channel][sequence]`, which are scaled here: (value - mean) / deviation, in
    /// 64 bits and then rounded; a missing value counts as the mean. Writes `margins[sequence * outputs +
    /// output]`.
    package func score(
        _ columns: UnsafePointer<UnsafePointer<Double>>, channels: [ModelCard.Channel], count: Int,
        into margins: UnsafeMutablePointer<Double>
    ) {
        let width = network.architecture.steps * network.architecture.channels
        var first = 0
        while first < count {
            let rows = min(Self.lanes, count - first)
            for value in 0..<width {
                let column = columns[value] + first
                let channel = channels[value % channels.count]
                for lane in 0..<Self.lanes {
                    let scaled = (column[lane < rows ? lane : 0] - channel.mean) / channel.deviation
                    inputs[value * Self.lanes + lane] = scaled.isNaN ? 0 : Float(scaled)
                }
            }
            run()
            for output in 0..<network.outputs {
                for row in 0..<rows {
                    margins[(first + row) * network.outputs + output] = Double(
                        result[output * Self.lanes + row])
                }
            }
            first += rows
        }
    }

    private func run() {
        let steps = network.architecture.steps
        var from = inputs
        for (index, layer) in network.layers.enumerated() {
            layer.weights.withUnsafeBufferPointer { weights in
                layer.bias.withUnsafeBufferPointer { bias in
                    ckernels_lstm(
                        weights.baseAddress, bias.baseAddress, layer.inputs, layer.units, steps, from,
                        outputs[index], state)
                }
            }
            from = outputs[index]
        }
        let last = from + (steps - 1) * network.head.inputs * Self.lanes
        network.head.weights.withUnsafeBufferPointer { weights in
            network.head.bias.withUnsafeBufferPointer { bias in
                ckernels_dense(
                    weights.baseAddress, bias.baseAddress, network.head.inputs, network.head.units, last,
                    result)
            }
        }
    }
}
