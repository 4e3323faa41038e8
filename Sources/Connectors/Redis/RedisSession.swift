import Base
import Topology

/// Connections to the servers that have the keys: one server, the master that sentinels know now, or the
/// masters of a cluster. Used by one thread at a time.
final class RedisSession {
    private let address: RedisAddress
    private let connectMilliseconds: Int
    private let commandMilliseconds: Int
    private var connections: [RedisAddress.Place: RedisConnection] = [:]
    private var slots = RedisSlots()
    /// Where keys are if it is no cluster.
    private var master: RedisAddress.Place
    /// Called with each new connection.
    var onConnect: ((RedisConnection) -> Void)?

    var isCluster: Bool { if case .cluster = address.mode { true } else { false } }

    /// Connects to nobody yet.
    init(_ address: RedisAddress, connectMilliseconds: Int, commandMilliseconds: Int) {
        self.address = address
        (self.connectMilliseconds, self.commandMilliseconds) = (connectMilliseconds, commandMilliseconds)
        master = address.place
    }

    /// Finds the servers, and connects to all of them that answer; throws if none does.
    func open() throws(Fault) {
        switch address.mode {
        case .single: _ = try connection(at: master)
        case .sentinel(let sentinel, let places):
            master = try Self.master(sentinel, places, self)
            let connection = try connection(at: master)
            // A sentinel that was cut off tells of a server that is no master any more.
            guard case .array(let role) = try connection.command(["ROLE"]), role.first?.text == "master"
            else {
                close(master)
                throw Fault(
                    .external,
                    "Redis at \(connection.address) is no master, whatever the sentinels of '\(sentinel.master)' say",
                    retry: .withBackoff)
            }
        case .cluster(let seeds):
            try findSlots(seeds)
            var last: Fault?
            for place in slots.places {
                do throws(Fault) { _ = try connection(at: place) } catch { last = error }
            }
            if connections.isEmpty, let last { throw last }
        }
    }

    /// nil: nobody has its slot.
    func place(of key: UnsafeBufferPointer<UInt8>) -> RedisAddress.Place? {
        isCluster ? slots.place(ofSlot: RedisSlots.slot(of: key)) : master
    }

    func place(of key: String) -> RedisAddress.Place? {
        isCluster ? slots.place(ofSlot: RedisSlots.slot(of: key)) : master
    }

    /// Of all masters.
    var places: [RedisAddress.Place] { slots.places }

    /// Of those that are connected.
    func known(_ place: RedisAddress.Place) -> RedisConnection? { connections[place] }

    /// Connects where it must.
    func connection(at place: RedisAddress.Place) throws(Fault) -> RedisConnection {
        if let known = connections[place] { return known }
        let made = try RedisConnection(
            address.at(place), connectMilliseconds: connectMilliseconds,
            commandMilliseconds: commandMilliseconds)
        onConnect?(made)
        if case .error(let reason) = try made.command(["PING"]) {
            throw Fault(.external, "Redis at \(made.address): \(reason)", retry: .withBackoff)
        }
        connections[place] = made
        return made
    }

    func close(_ place: RedisAddress.Place) { connections[place] = nil }

    func move(_ redirection: RedisRedirection) { slots.move(redirection) }

    /// Asks the nodes that are known, then those of the address, who has which slots.
    func findSlots() throws(Fault) {
        guard case .cluster(let seeds) = address.mode else { return }
        try findSlots(slots.places.filter { connections[$0] != nil } + seeds + slots.places)
    }

    private func findSlots(_ places: [RedisAddress.Place]) throws(Fault) {
        var last: Fault?
        for place in places {
            do throws(Fault) {
                let answer = try connection(at: place).command(["CLUSTER", "SLOTS"])
                if case .error(let reason) = answer {
                    throw Fault(.external, "Redis at \(address.at(place)): \(reason)", retry: .withBackoff)
                }
                guard let found = RedisSlots(answer, asked: place), !found.places.isEmpty else {
                    throw Fault(
                        .external, "Redis at \(address.at(place)) knows no slots", retry: .withBackoff)
                }
                slots = found
                return
            } catch {
                close(place)
                last = error
            }
        }
        throw last ?? Fault(.external, "a cluster without nodes", retry: .withBackoff)
    }

    /// Asks one sentinel after the other.
    private static func master(
        _ sentinel: RedisServerSpec.Sentinels, _ places: [RedisAddress.Place], _ session: RedisSession
    ) throws(Fault) -> RedisAddress.Place {
        var last: Fault?
        for place in places {
            var address = session.address.at(place)
            (address.user, address.password, address.database) = (sentinel.user, sentinel.password, 0)
            do throws(Fault) {
                let connection = try RedisConnection(
                    address, connectMilliseconds: session.connectMilliseconds,
                    commandMilliseconds: session.commandMilliseconds)
                let answer = try connection.command(["SENTINEL", "get-master-addr-by-name", sentinel.master])
                if case .array(let parts) = answer, parts.count == 2, let host = parts[0].text,
                    let port = parts[1].text.flatMap({ Int($0) })
                {
                    return .network(host: host, port: port)
                }
                if case .error(let reason) = answer {
                    throw Fault(.external, "sentinel \(address): \(reason)", retry: .withBackoff)
                }
                last = Fault(
                    .external, "sentinel \(address) knows no master '\(sentinel.master)'", retry: .withBackoff
                )
            } catch { last = error }
        }
        throw last ?? Fault(.external, "no sentinels", retry: .withBackoff)
    }
}
