import Base
import Records
import Topology

/// The schemas of one registry, as the lanes of a process share them.
package protocol WriterSchemas: AnyObject, Sendable {
    /// What is known of a schema, without waiting; nil: nothing.
    func known(_ id: Int32) -> WriterSchema?
    /// Asks for it where nothing is known, and waits: at most `Limits.registryWaitMilliseconds` while nobody
    /// answers. Throws then, and where the registry does not let us in; an answer that there is no such
    /// schema is known as well, for a while.
    func fetch(_ id: Int32) throws(Fault)
}

package enum WriterSchema: Sendable {
    /// The schemas that it refers to, each behind those that it needs itself, and itself, the last.
    case texts([[UInt8]])
    /// Why there is none that can be read.
    case refused(String)
}

/// Finds the schemas of registries. A run that is to ask nobody has none.
package protocol SchemaRegistries: Sendable {
    func schemas(of registry: RegistrySpec) -> any WriterSchemas
    /// The id of a schema of ours, which is registered under the subject if it was not. Waits as `fetch`
    /// does.
    func register(_ schema: String, subject: String, in registry: RegistrySpec) throws(Fault) -> Int32
}

/// What stands before a record whose schema a registry has.
package enum ConfluentFrame {
    /// A zero byte and the id, the highest byte first.
    static let bytes = 5

    /// nil: the record does not begin so.
    @inline(__always)
    static func id(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int32? {
        guard count >= Self.bytes, bytes[0] == 0 else { return nil }
        return Int32(
            bigEndian: UnsafeRawPointer(bytes).loadUnaligned(fromByteOffset: 1, as: Int32.self))
    }

    static func append(_ id: Int32, to bytes: Arena) {
        bytes.appendByte(0)
        bytes.appendWord(UInt32(bitPattern: id).byteSwapped)
    }
}
