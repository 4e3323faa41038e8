import Base
import CHiredis
import Glibc
import Records

/// What Redis answered.
package enum RedisValue: Equatable, Sendable {
    case null
    case integer(Int64)
    case text(String)
    /// An error of one command; the connection is fine.
    case error(String)
    case array([RedisValue])

    package var text: String? {
        if case .text(let text) = self { text } else { nil }
    }
    package var integer: Int64? {
        if case .integer(let integer) = self { integer } else { nil }
    }
}

/// A connection that waits for its answers. Used by the thread that made it.
final class RedisConnection {
    private let context: UnsafeMutablePointer<redisContext>
    private let address: RedisAddress
    /// The server's number for this connection, 0 if it does not tell.
    private(set) var identifier: Int64 = 0
    private let request = Arena(capacity: 64 << 10)

    /// Connects, and sends the password and the database.
    init(_ address: RedisAddress, connectMilliseconds: Int, commandMilliseconds: Int) throws(Fault) {
        self.address = address
        // This hiredis writes with write(2): a server that is gone would end the program.
        Self.blockPipeSignal()
        let made =
            switch address.place {
            case .network(let host, let port):
                redisConnectWithTimeout(host, Int32(port), Self.interval(connectMilliseconds))
            case .socket(let path):
                redisConnectUnixWithTimeout(path, Self.interval(connectMilliseconds))
            }
        guard let made else { throw Fault(.defect, "out of memory") }
        context = made
        if made.pointee.err != 0 { throw failure() }
        redisSetTimeout(made, Self.interval(commandMilliseconds))
        try greet()
    }

    deinit { redisFree(context) }

    /// For every thread that uses a connection.
    static func blockPipeSignal() {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
    }

    private func greet() throws(Fault) {
        var commands: [[String]] = []
        if let password = address.password {
            commands.append(["AUTH"] + (address.user.map { [$0] } ?? []) + [password])
        }
        if address.database != 0 { commands.append(["SELECT", "\(address.database)"]) }
        for command in commands {
            if case .error(let reason) = try self.command(command) {
                throw Fault(.user, "Redis at \(address): \(command[0]): \(reason)", retry: .withBackoff)
            }
        }
        identifier = try command(["CLIENT", "ID"]).integer ?? 0
    }

    /// Sends one command and waits for its answer.
    func command(_ arguments: [String]) throws(Fault) -> RedisValue {
        begin()
        append(arguments.count)
        for argument in arguments { append(argument) }
        try send()
        return try answer()
    }

    // MARK: Pipelines: begin, append commands, send, then take one answer per command

    func begin() { request.removeAll() }

    /// Begins a command of `count` words, which follow.
    func append(_ count: Int) { line(0x2A, count) }

    func append(_ word: String) {
        line(0x24, word.utf8.count)
        _ = request.append(word)
        end()
    }

    func append(_ word: UnsafeBufferPointer<UInt8>) {
        line(0x24, word.count)
        request.reserve(word.count)
        if let start = word.baseAddress { _ = request.append(start, word.count) }
        end()
    }

    /// Sends what was appended and takes `count` answers, all until `deadline` (monotonic nanoseconds); after a throw
    /// the connection is of no more use. `body` gets each answer's texts where it is a list, otherwise nil.
    func exchange(
        _ count: Int, until deadline: Int64,
        _ body: (Int, UnsafeBufferPointer<UnsafeBufferPointer<UInt8>?>?) -> Void
    ) throws(Fault) {
        try send()
        var isWritten: Int32 = 0
        while isWritten == 0 {
            try setTimeout(until: deadline)
            guard redisBufferWrite(context, &isWritten) == REDIS_OK else { throw failure() }
        }
        var texts: [UnsafeBufferPointer<UInt8>?] = []
        for index in 0..<count {
            var raw: UnsafeMutableRawPointer?
            while true {
                guard redisReaderGetReply(context.pointee.reader, &raw) == REDIS_OK else { throw failure() }
                if raw != nil { break }
                try setTimeout(until: deadline)
                guard redisBufferRead(context) == REDIS_OK else { throw failure() }
            }
            guard let raw else { continue }
            defer { freeReplyObject(raw) }
            let reply = raw.assumingMemoryBound(to: redisReply.self)
            guard reply.pointee.type == REDIS_REPLY_ARRAY else {
                body(index, nil)
                continue
            }
            texts.removeAll(keepingCapacity: true)
            for place in 0..<Int(reply.pointee.elements) {
                let element = reply.pointee.element[place]
                guard let element, element.pointee.type == REDIS_REPLY_STRING, let start = element.pointee.str else {
                    texts.append(nil)
                    continue
                }
                let bytes = UnsafeRawPointer(start).assumingMemoryBound(to: UInt8.self)
                texts.append(UnsafeBufferPointer(start: bytes, count: Int(element.pointee.len)))
            }
            texts.withUnsafeBufferPointer { body(index, $0) }
        }
    }

    /// Reads and writes wait until then at most.
    private func setTimeout(until deadline: Int64) throws(Fault) {
        let microseconds = (deadline - monotonicNanoseconds()) / 1000
        guard microseconds > 0 else {
            throw Fault(.external, "Redis at \(address): no answer in time", retry: .withBackoff)
        }
        redisSetTimeout(context, timeval(tv_sec: Int(microseconds / 1_000_000), tv_usec: Int(microseconds % 1_000_000)))
    }

    func send() throws(Fault) {
        let done = request.base.withMemoryRebound(to: CChar.self, capacity: request.count) {
            redisAppendFormattedCommand(context, $0, request.count)
        }
        guard done == REDIS_OK else { throw failure() }
    }

    func answer() throws(Fault) -> RedisValue {
        try withAnswer { Self.value($0) }
    }

    /// The next answer's error text, nil if it is none.
    func answerError() throws(Fault) -> String? {
        try withAnswer { $0.pointee.type == REDIS_REPLY_ERROR ? Self.text($0) : nil }
    }

    private func withAnswer<T>(_ body: (UnsafePointer<redisReply>) -> T) throws(Fault) -> T {
        var raw: UnsafeMutableRawPointer?
        guard redisGetReply(context, &raw) == REDIS_OK, let raw else { throw failure() }
        defer { freeReplyObject(raw) }
        return body(UnsafePointer(raw.assumingMemoryBound(to: redisReply.self)))
    }

    private func failure() -> Fault {
        // An input or output error is in errno, of which this hiredis keeps a text; EAGAIN is the timeout.
        let code = errno
        let text = withUnsafeBytes(of: context.pointee.errstr) {
            String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        let timedOut = context.pointee.err == REDIS_ERR_IO && (code == EAGAIN || code == EWOULDBLOCK)
        return Fault(
            .external,
            "Redis at \(address): \(timedOut ? "no answer in time" : text)",
            retry: .withBackoff
        )
    }

    private func line(_ kind: UInt8, _ count: Int) {
        request.reserve(24)
        request.base[request.count] = kind
        request.count += 1
        request.count += Decimal.write(Int128(count), scale: 0, to: request.base + request.count)
        end()
    }

    private func end() {
        request.reserve(2)
        request.base[request.count] = 0x0D
        request.base[request.count + 1] = 0x0A
        request.count += 2
    }

    private static func interval(_ milliseconds: Int) -> timeval {
        timeval(tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000)
    }

    private static func text(_ reply: UnsafePointer<redisReply>) -> String {
        String(
            decoding: UnsafeRawBufferPointer(start: reply.pointee.str, count: Int(reply.pointee.len)),
            as: UTF8.self
        )
    }

    private static func value(_ reply: UnsafePointer<redisReply>) -> RedisValue {
        switch reply.pointee.type {
        case REDIS_REPLY_INTEGER: .integer(reply.pointee.integer)
        case REDIS_REPLY_STRING, REDIS_REPLY_STATUS: .text(text(reply))
        case REDIS_REPLY_ERROR: .error(text(reply))
        case REDIS_REPLY_ARRAY:
            .array(
                (0..<Int(reply.pointee.elements)).map { index in
                    reply.pointee.element[index].map { value($0) } ?? .null
                }
            )
        default: .null
        }
    }
}
