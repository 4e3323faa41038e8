import Records

/// A table as entries for a changelog and for snapshots: one for each version, and one for each key that is
/// cut.
extension VersionedTable {
    /// In the name of the entry that says that a key is cut; no version has it.
    static let cutTime = Int64.min
    private static let cutMark: UInt8 = 2

    private func writeCut(_ id: UInt32, to out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        let start = out.count
        appendName(Self.cutTime, id, to: out)
        let value = out.count
        out.appendByte(Self.cutMark)
        body(start..<value, value..<out.count)
    }

    /// A version is known by its time and key.
    func appendName(_ time: Int64, _ id: UInt32, to out: Arena) {
        out.appendWord(UInt64(bitPattern: time))
        let key = keys.key(of: id)
        out.reserve(key.count)
        if let start = key.baseAddress { _ = out.append(start, key.count) }
    }

    private func write(
        _ version: Version, _ id: UInt32, to out: Arena, _ body: (Range<Int>, Range<Int>) -> Void
    ) {
        let start = out.count
        appendName(version.time, id, to: out)
        let value = out.count
        out.appendByte(version.count < 0 ? 0 : 1)
        out.reserve(Int(max(0, version.count)))
        if version.count > 0 { _ = out.append(rows.base + version.offset, Int(version.count)) }
        body(start..<value, value..<out.count)
    }

    package func drainChanges(into out: Arena, _ body: (Range<Int>, Range<Int>?) -> Void) {
        for name in goneNames {
            let start = out.count
            out.reserve(name.count)
            _ = out.append(gone.base + name.lowerBound, name.count)
            body(start..<out.count, nil)
        }
        gone.removeAll()
        goneNames.removeAll(keepingCapacity: true)
        for id in dirty {
            isDirty[Int(id)] = false
            let chunk = chunks[Int(id)]
            if chunk.isCut, !chunk.isCutKept {
                chunks[Int(id)].isCutKept = true
                writeCut(id, to: out, body)
            }
            for index in chunk.start..<chunk.start + Int(chunk.count) where pool[index].isDirty {
                pool[index].isDirty = false
                pool[index].isKept = true
                write(pool[index], id, to: out, body)
            }
        }
        dirty.removeAll(keepingCapacity: true)
    }

    package func forEach(into out: Arena, _ body: (Range<Int>, Range<Int>) -> Void) {
        keys.forEach { id in
            let chunk = chunks[Int(id)]
            if chunk.isCut { writeCut(id, to: out, body) }
            for index in chunk.start..<chunk.start + Int(chunk.count) {
                write(pool[index], id, to: out, body)
            }
        }
    }

    /// Calls `body` with every version; `place` as lookups tell it, -1: the key is deleted.
    package func forEachVersion(
        _ body: (_ key: UnsafeBufferPointer<UInt8>, _ time: Int64, _ place: Int) -> Void
    ) {
        keys.forEach { id in
            let chunk = chunks[Int(id)]
            for index in chunk.start..<chunk.start + Int(chunk.count) {
                body(keys.key(of: id), pool[index].time, pool[index].count < 0 ? -1 : pool[index].offset)
            }
        }
    }

    package func restore(key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?) -> Bool {
        var reader = BinaryReader(key)
        let time = Int64(bitPattern: reader.word64())
        let name = reader.bytes(reader.left)
        guard reader.isValid else { return false }
        let id = keys.intern(name)
        makeChunk(id)
        if time == Self.cutTime {
            guard value == nil || value?.first == Self.cutMark else { return false }
            cutCount += (value != nil ? 1 : 0) - (chunks[Int(id)].isCut ? 1 : 0)
            chunks[Int(id)].isCut = value != nil
            chunks[Int(id)].isCutKept = value != nil
            return true
        }
        guard let value else {
            remove(time, of: id)
            return true
        }
        guard value.count > 0, value[0] <= 1 else { return false }
        insert(id, time, value[0] == 0 ? nil : UnsafeBufferPointer(rebasing: value[1...]), isKept: true)
        return true
    }

    private func remove(_ time: Int64, of id: UInt32) {
        let chunk = chunks[Int(id)]
        let versions = pool + chunk.start
        let after = Self.firstAfter(time, versions, Int(chunk.count))
        if after > 0, versions[after - 1].time == time {
            rowGarbage += Int(max(0, versions[after - 1].count))
            (versions + after - 1).update(from: versions + after, count: Int(chunk.count) - after)
            chunks[Int(id)].count -= 1
            versionCount -= 1
        }
    }

    package func finishRestore() {
        keys.forEach { if chunks[Int($0)].count == 0 { forget($0) } }
    }
}
