import Base
import Http

/// Rows into a table and out of it, over whichever of its gateways answers. Used by one thread.
package final class HBaseClient {
    private let table: HBaseTable
    private let http: HttpClient
    /// Of the gateway that answered last.
    private var current = 0

    package init(_ table: HBaseTable, timeoutMilliseconds: Int = 30_000) throws(Fault) {
        self.table = table
        http = try HttpClient(timeoutMilliseconds: timeoutMilliseconds)
    }

    package enum Outcome {
        case accepted
        /// For good: what is wrong with a row of these.
        case refused(String)
        /// Nobody knows whether rows of it were taken; it may go better later.
        case away(String)
    }

    package func put(_ rows: ArraySlice<HBaseTable.Row>) -> Outcome {
        let body = HBaseJson.rows(rows, family: table.family)
        return onAnyGateway { base in
            // The key in the path is not looked at where there are rows.
            var request = request("PUT", "\(base)/\(PercentEncoding.encode(table.table.utf8))/rows")
            request.headers.append("Content-Type: application/json")
            request.body = body
            return request
        } read: { response in
            switch response.status {
            case 200...299: .accepted
            case 400, 413, 422: .refused(Self.reason(response))
            default: .away(self.reason(response))
            }
        }
    }

    package typealias Cells = [(name: String, value: [UInt8], timestamp: Int64)]

    /// Calls `body` with the rows from `start` on, before `end`, in the order of their keys; it returns false
    /// to stop.
    package func scan(start: [UInt8], end: [UInt8], _ body: ([UInt8], Cells) -> Bool) throws(Fault) {
        let page = 1000
        var next = start
        while true {
            let (from, to) = (PercentEncoding.encode(next), PercentEncoding.encode(end))
            var rows: [(key: [UInt8], cells: Cells)] = []
            let outcome = onAnyGateway { base in
                var request = request(
                    "GET",
                    "\(base)/\(PercentEncoding.encode(table.table.utf8))/*?startrow=\(from)&endrow=\(to)&limit=\(page)&column=\(table.family)"
                )
                request.headers.append("Accept: application/json")
                return request
            } read: { response in
                guard response.status == 200 else { return .away(self.reason(response)) }
                guard let read = HBaseJson.read(response.body, family: table.family) else {
                    return .away("an answer that is none of HBase's REST gateway")
                }
                rows = read
                return .accepted
            }
            if case .away(let reason) = outcome { throw Fault(.external, "hbase: \(reason)") }
            for row in rows { guard body(row.key, row.cells) else { return } }
            guard rows.count == page, let last = rows.last else { return }
            next = last.key + [0]
        }
    }

    /// Throws unless a gateway answers for the table.
    package func check() throws(Fault) {
        let outcome = onAnyGateway { base in
            var request = request("GET", "\(base)/\(PercentEncoding.encode(table.table.utf8))/schema")
            request.headers.append("Accept: application/json")
            return request
        } read: { response in
            response.status == 200 ? .accepted : .away(self.reason(response))
        }
        if case .away(let reason) = outcome { throw Fault(.external, "hbase: \(reason)") }
    }

    /// The gateway that answered last, then the others.
    private func onAnyGateway(_ request: (String) -> HttpRequest, read: (HttpResponse) -> Outcome) -> Outcome
    {
        var reason = ""
        for _ in table.urls {
            do throws(Fault) {
                let outcome = read(try http.send(request(table.urls[current])))
                guard case .away(let why) = outcome else { return outcome }
                reason = "\(table.urls[current]): \(why)"
            } catch {
                reason = error.detail
            }
            current = (current + 1) % table.urls.count
        }
        return .away(reason)
    }

    private func request(_ method: String, _ url: String) -> HttpRequest {
        HttpRequest(
            method, url, credentials: table.credentials, certificateAuthority: table.certificateAuthority)
    }

    private func reason(_ response: HttpResponse) -> String {
        let reason = Self.reason(response)
        switch response.status {
        case 401, 403: return "the gateway does not let 'user' in (\(response.status))"
        case 404 where reason.contains("NoSuchColumnFamily"):
            return "table '\(table.table)' has no column family '\(table.family)'"
        case 404:
            return "there is no table '\(table.table)'; make it: create '\(table.table)', '\(table.family)'"
        default: return reason
        }
    }

    /// The line of the answer that says something, shortly.
    private static func reason(_ response: HttpResponse) -> String {
        let lines = String(decoding: response.body.prefix(2000), as: UTF8.self).split(separator: "\n")
        let line =
            lines.first { $0.contains("Exception") && !$0.hasPrefix("\tat") }
            ?? lines.first { !$0.allSatisfy(\.isWhitespace) }
        let text = line.map { String($0.prefix(200)) }?.trimmed ?? ""
        return "status \(response.status)\(text.isEmpty ? "" : ": \(text)")"
    }
}

extension String {
    fileprivate var trimmed: String {
        String(String(drop { $0.isWhitespace }).reversed().drop { $0.isWhitespace }.reversed())
    }
}
