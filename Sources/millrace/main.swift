import Base
import Glibc

Output.prepare()
Heap.keepFreedMemory()
exit(Command.main(Array(CommandLine.arguments.dropFirst())))
