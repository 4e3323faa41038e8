import Base
import Formats
import Synchronization
import Topology

/// The registries that a process asks, each with what it has answered.
package final class SchemaCache: SchemaRegistries {
    private let clients = Mutex<[RegistrySpec: RegistryClient]>([:])

    package init() {}

    package func client(of registry: RegistrySpec) -> RegistryClient {
        clients.withLock { clients in
            if let client = clients[registry] { return client }
            let client = RegistryClient(registry)
            clients[registry] = client
            return client
        }
    }

    package func register(_ schema: String, subject: String, in registry: RegistrySpec) throws(Fault) -> Int32
    {
        try client(of: registry).register(schema, subject: subject)
    }

    package func schemas(of registry: RegistrySpec) -> any WriterSchemas { client(of: registry) }
}
