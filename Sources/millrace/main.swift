import Base
import Glibc

Heap.keepFreedMemory()
exit(Command.main(Array(CommandLine.arguments.dropFirst())))
