import Base
import Models

/// Reads what `NotifyMachine` keeps, a record at a time.
enum KeptState {
    /// Goes on with what was kept, by the keys and values of `Outputs.changes`. What was under way is tried
    /// again under its id; whether it was taken is not known.
    static func restore(
        _ state: [String: [UInt8]], into machine: inout NotifyMachine, _ now: Int64
    ) throws(Fault) {
        for (key, value) in state.sorted(by: { $0.key < $1.key }) {
            let kind = key.prefix { $0 != "\u{1F}" }
            let node: DocumentNode
            do throws(Fault) {
                node = DocumentNode(try JsonDocument.read(value))
                try take(String(kind), node, into: &machine)
            } catch {
                throw Fault(
                    .external,
                    "the state of the notifier has a record that it cannot read: '\(key.prefix(100))': \(error.detail)"
                )
            }
        }
        for id in machine.sends.keys {
            guard var send = machine.sends[id] else { continue }
            if send.isInFlight {
                // The end of this process was no fault of theirs.
                send.tries = max(0, send.tries - 1)
                send.isInFlight = false
                send.next = now
                machine.sends[id] = send
            }
            machine.timers.set(.send(id), at: send.next)
        }
        for (contact, known) in machine.limits {
            let channel = machine.config.channels[contact.channel]
            var settled = known
            // As if the tries had gone on to their timeout: the other side may not have noticed that nobody
            // listens.
            let end = now + (channel?.timeout ?? 0) + NotifyMachine.unknownMargin
            for _ in 0..<known.pending { settled.end(at: end, counts: true, channel?.limits ?? []) }
            machine.limits[contact] = settled
        }
        for group in machine.groups.values {
            machine.setTimer(of: group, machine.config.route(named: group.key.route), now)
        }
        for watch in machine.watches.values { machine.timers.set(.watch(watch.id), at: watch.due) }
        for contact in machine.boxes.keys {
            machine.boxes[contact]?.entries.sort { $0.number < $1.number }
            machine.setTimer(of: contact)
        }
        for (channel, address) in machine.disabled
        where machine.config.channels[channel]?.url.map(NotifyMachine.address) != address {
            machine.disabled[channel] = nil
            machine.keep("disabled\u{1F}\(channel)", nil)
        }
    }

    private static func take(_ kind: String, _ node: DocumentNode, into machine: inout NotifyMachine)
        throws(Fault)
    {
        switch kind {
        case "group":
            let group = try AlertGroup(node)
            machine.groups[group.key] = group
        case "held":
            let entry = try HeldAlert(node)
            machine.boxes[entry.contact, default: HeldBox()].entries.append(entry)
            machine.boxes[entry.contact, default: HeldBox()].next = max(
                machine.boxes[entry.contact]?.next ?? 0, entry.number + 1)
        case "more":
            guard let contact = NotifyContact(try node["contact"].text) else {
                throw node.mistake("a contact")
            }
            machine.boxes[contact, default: HeldBox()].more = try node["more"].integer
        case "watch":
            let watch = try EscalationWatch(node)
            machine.watches[watch.id] = watch
        case "send":
            let send = try PendingSend(node)
            machine.sends[send.message.id] = send
        case "try":
            // Behind its send, by the order of keys.
            let id = try node["id"].text
            try machine.sends[id]?.takeTry(node)
        case "limits":
            guard let contact = NotifyContact(try node["contact"].text) else {
                throw node.mistake("a contact")
            }
            machine.limits[contact] = SlidingLimits(
                log: try node["log"].integers.map { Int64($0) }, pending: try node["pending"].integer)
        case "storm":
            var window = StormWindow(start: Int64(try node["start"].integer))
            window.count = try node["count"].integer
            window.isStorm = try node["storm"].bool
            machine.storms[try node["route"].text] = window
        case "disabled":
            machine.disabled[try node["channel"].text] = try node["address"].text
        default: throw node.mistake("a kind of state that this version knows")
        }
    }
}
