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

/// A connection that waits for its answers: hiredis' reader over a socket of ours, since Debian's hiredis
/// knows no TLS. Used by the thread that made it.
final class RedisConnection {
    private let transport: RedisTransport
    private let reader: UnsafeMutablePointer<redisReader>
    let address: RedisAddress
    /// The server's number for this connection, 0 if it does not tell.
    private(set) var identifier: Int64 = 0
    private let request = Arena(capacity: 64 << 10)
    private let commandNanoseconds: Int64
    private let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

    /// Connects to the server at the address' place, and sends the password and the database.
    init(_ address: RedisAddress, connectMilliseconds: Int, commandMilliseconds: Int) throws(Fault) {
        self.address = address
        commandNanoseconds = Int64(commandMilliseconds) * 1_000_000
        Self.blockPipeSignal()
        guard let reader = redisReaderCreate() else { throw Fault(.defect, "out of memory") }
        self.reader = reader
        do throws(Fault) {
            transport = try RedisTransport(
                address, until: monotonicNanoseconds() + Int64(connectMilliseconds) * 1_000_000)
        } catch {
            redisReaderFree(reader)
            input.deallocate()
            throw Fault(error.domain, "Redis at \(address): \(error.detail)", retry: .withBackoff)
        }
        try greet()
    }

    deinit {
        redisReaderFree(reader)
        input.deallocate()
    }

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

    /// Sends what was appended and takes `count` answers, all until `deadline` (monotonic nanoseconds); after
    /// a throw the connection is of no more use. `body` gets each answer's texts where it is a list,
    /// otherwise nil, and its text where it is an error.
    func exchange(
        _ count: Int, until deadline: Int64,
        _ body: (Int, UnsafeBufferPointer<UnsafeBufferPointer<UInt8>?>?, _ error: String?) -> Void
    ) throws(Fault) {
        try send(until: deadline)
        var texts: [UnsafeBufferPointer<UInt8>?] = []
        for index in 0..<count {
            let raw = try next(until: deadline)
            defer { freeReplyObject(raw) }
            let reply = raw.assumingMemoryBound(to: redisReply.self)
            guard reply.pointee.type == REDIS_REPLY_ARRAY else {
                body(
                    index, nil,
                    reply.pointee.type == REDIS_REPLY_ERROR ? Self.text(UnsafePointer(reply)) : nil)
                continue
            }
            texts.removeAll(keepingCapacity: true)
            for place in 0..<Int(reply.pointee.elements) {
                let element = reply.pointee.element[place]
                guard let element, element.pointee.type == REDIS_REPLY_STRING, let start = element.pointee.str
                else {
                    texts.append(nil)
                    continue
                }
                let bytes = UnsafeRawPointer(start).assumingMemoryBound(to: UInt8.self)
                texts.append(UnsafeBufferPointer(start: bytes, count: Int(element.pointee.len)))
            }
            texts.withUnsafeBufferPointer { body(index, $0, nil) }
        }
    }

    func send() throws(Fault) { try send(until: monotonicNanoseconds() + commandNanoseconds) }

    private func send(until deadline: Int64) throws(Fault) {
        do throws(Fault) {
            try transport.write(
                UnsafeRawBufferPointer(start: request.base, count: request.count), until: deadline)
        } catch { throw failure(error) }
    }

    func answer() throws(Fault) -> RedisValue {
        try withAnswer { Self.value($0) }
    }

    /// The next answer's error text, nil if it is none.
    func answerError() throws(Fault) -> String? {
        try withAnswer { $0.pointee.type == REDIS_REPLY_ERROR ? Self.text($0) : nil }
    }

    private func withAnswer<T>(_ body: (UnsafePointer<redisReply>) -> T) throws(Fault) -> T {
        let raw = try next(until: monotonicNanoseconds() + commandNanoseconds)
        defer { freeReplyObject(raw) }
        return body(UnsafePointer(raw.assumingMemoryBound(to: redisReply.self)))
    }

    /// The next answer; the caller frees it.
    private func next(until deadline: Int64) throws(Fault) -> UnsafeMutableRawPointer {
        var raw: UnsafeMutableRawPointer?
        while true {
            guard redisReaderGetReply(reader, &raw) == REDIS_OK else {
                let text = withUnsafeBytes(of: reader.pointee.errstr) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                throw Fault(.external, "Redis at \(address): \(text)", retry: .withBackoff)
            }
            if let raw { return raw }
            do throws(Fault) {
                let count = try transport.read(input, until: deadline)
                guard count > 0 else {
                    throw Fault(.external, "Server closed the connection", retry: .withBackoff)
                }
                let bytes = input.baseAddress?.assumingMemoryBound(to: CChar.self)
                guard redisReaderFeed(reader, bytes, count) == REDIS_OK else {
                    throw Fault(.defect, "out of memory")
                }
            } catch { throw failure(error) }
        }
    }

    private func failure(_ fault: Fault) -> Fault {
        Fault(.external, "Redis at \(address): \(fault.detail)", retry: .withBackoff)
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
