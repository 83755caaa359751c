import { TRANSPORTS } from '../../helpers/subscriber/wires.ts'
import { describeTransport } from './describe-transport.ts'

for (const transport of TRANSPORTS) describeTransport(transport)
