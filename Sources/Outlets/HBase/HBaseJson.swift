import Base
import Models
import Records

/// The REST gateway's JSON: rows with keys, columns and values in base64.
package enum HBaseJson {
    package typealias Cell = (name: String, value: [UInt8], timestamp: Int64)

    package static func rows(_ rows: ArraySlice<HBaseTable.Row>, family: String) -> [UInt8] {
        var json = JsonWriter()
        json.beginObject()
        json.name("Row")
        json.list(rows) { json, row in
            json.beginObject()
            json.member("key", Base64Text.encode(row.key))
            json.name("Cell")
            json.list(row.cells) { json, cell in
                json.beginObject()
                json.member("column", Base64Text.encode("\(family):\(cell.name)".utf8))
                json.member("timestamp", row.timestamp)
                json.member("$", Base64Text.encode(cell.value))
                json.endObject()
            }
            json.endObject()
        }
        json.endObject()
        return Array(json.string.utf8)
    }

    /// What a scan answered; nil: it is no such answer.
    package static func read(_ body: [UInt8], family: String) -> [(key: [UInt8], cells: [Cell])]? {
        do throws(Fault) {
            var rows: [(key: [UInt8], cells: [Cell])] = []
            for (name, node) in try DocumentNode(try JsonDocument.read(body)).members {
                guard name == "Row" else { return nil }
                for row in try node.list { rows.append(try self.row(row, family)) }
            }
            return rows
        } catch { return nil }
    }

    private static func row(_ node: DocumentNode, _ family: String) throws(Fault) -> (
        key: [UInt8], cells: [Cell]
    ) {
        var cells: [Cell] = []
        for (name, node) in try node.members {
            switch name {
            case "key": break
            case "Cell":
                for cell in try node.list {
                    let read = try self.cell(cell)
                    guard read.name.hasPrefix(family + ":") else { continue }
                    cells.append((String(read.name.dropFirst(family.count + 1)), read.value, read.timestamp))
                }
            default: throw unknown(name)
            }
        }
        return (try bytes(node["key"]), cells)
    }

    private static func cell(_ node: DocumentNode) throws(Fault) -> Cell {
        for (name, _) in try node.members where !["column", "timestamp", "$"].contains(name) {
            throw unknown(name)
        }
        return (
            String(decoding: try bytes(node["column"]), as: UTF8.self), try bytes(node["$"]),
            Int64(try node.optional("timestamp")?.integer ?? 0)
        )
    }

    private static func bytes(_ node: DocumentNode) throws(Fault) -> [UInt8] {
        let text = try node.text
        // Gateways write all of its padding.
        guard text.utf8.count % 4 == 0, let bytes = Base64Text.decode(text) else {
            throw Fault(.external, "\(node.path) is no base64")
        }
        return bytes
    }

    private static func unknown(_ name: String) -> Fault { Fault(.external, "a member '\(name)'") }
}
