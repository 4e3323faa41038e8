import Base

/// Tensors of a `safetensors` file: 8 bytes of length (little-endian), a JSON header, raw values.
package struct Safetensors {
    private let bytes: [UInt8]
    private let start: Int
    private let header: DocumentNode

    package init(_ bytes: [UInt8]) throws(Fault) {
        guard bytes.count >= 8 else { throw Fault(.user, "no safetensors file: shorter than 8 bytes") }
        var length: UInt64 = 0
        for byte in bytes[0..<8].reversed() { length = length << 8 | UInt64(byte) }
        guard length <= UInt64(bytes.count - 8) else {
            throw Fault(.user, "no safetensors file: a header of \(length) bytes")
        }
        self.bytes = bytes
        start = 8 + Int(length)
        header = DocumentNode(try JsonDocument.read(Array(bytes[8..<start])))
    }

    package var names: [String] {
        get throws(Fault) { try header.members.map(\.name).filter { $0 != "__metadata__" } }
    }

    /// The values of a 32-bit tensor of this shape.
    package func tensor(_ name: String, shape: [Int]) throws(Fault) -> [Float] {
        guard let node = header.optional(name) else {
            throw Fault(.user, "no tensor '\(name)'; there are \(try names.sorted().joined(separator: ", "))")
        }
        guard try node["dtype"].text == "F32" else {
            throw Fault(.user, "tensor '\(name)': \(try node["dtype"].text); F32 is read")
        }
        let found = try node["shape"].integers
        guard found == shape else {
            throw Fault(.user, "tensor '\(name)': shape \(found), \(shape) was expected")
        }
        let offsets = try node["data_offsets"].integers
        let count = shape.reduce(1, *)
        guard offsets.count == 2, offsets[0] >= 0, offsets[1] - offsets[0] == count * 4,
            offsets[1] <= bytes.count - start
        else {
            throw Fault(.user, "tensor '\(name)': data_offsets \(offsets)")
        }
        return bytes.withUnsafeBytes { raw in
            (0..<count).map {
                Float(
                    bitPattern: UInt32(
                        littleEndian: raw.loadUnaligned(
                            fromByteOffset: start + offsets[0] + $0 * 4, as: UInt32.self)))
            }
        }
    }

    /// The lengths of a tensor's sides.
    package func shape(_ name: String) throws(Fault) -> [Int] { try header[name]["shape"].integers }
}
