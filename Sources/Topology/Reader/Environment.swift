import Base
import Glibc

/// What reading a topology takes from the machine, as closures so that a test needs none of it.
package struct Environment: Sendable {
    /// The value of an environment variable.
    package var variable: @Sendable (String) -> String?
    /// The text of a small file; nil if it cannot be read.
    package var fileText: @Sendable (String) -> String?
    package var zones: ZoneNames
    /// The bytes of a model's file, at most so many.
    package var fileBytes: @Sendable (String, Int) -> Result<[UInt8], Fault>

    package init(
        variable: @escaping @Sendable (String) -> String?,
        fileText: @escaping @Sendable (String) -> String?,
        zones: ZoneNames,
        fileBytes: @escaping @Sendable (String, Int) -> Result<[UInt8], Fault> = { readBytes($0, $1) }
    ) {
        self.variable = variable
        self.fileText = fileText
        self.zones = zones
        self.fileBytes = fileBytes
    }

    package static func readBytes(_ path: String, _ bytesMax: Int) -> Result<[UInt8], Fault> {
        do throws(Fault) {
            return .success(try FileText.bytes(of: path, bytesMax: bytesMax))
        } catch {
            return .failure(error)
        }
    }

    package static let system = Environment(
        variable: { name in getenv(name).map { String(cString: $0) } },
        fileText: { readFile($0) },
        zones: .system
    )

    /// Passwords and certificates are small; anything larger is the wrong file.
    private static let fileBytesMax = 64 << 10

    private static func readFile(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: fileBytesMax + 1)
        var count = 0
        while count < bytes.count {
            let room = bytes.count - count
            let got = bytes.withUnsafeMutableBytes {
                read(descriptor, $0.baseAddress.map { $0 + count }, room)
            }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { return nil }
            if got == 0 { break }
            count += got
        }
        return count > fileBytesMax ? nil : String(decoding: bytes[..<count], as: UTF8.self)
    }
}
