// node read.mjs CLIENT URL [OPTIONS]: read a stream and print each thing heard as one line of JSON.
// OPTIONS is JSON: {"events": names to listen for, "own": the service's own names, "headers": {…},
// "count": stop after so many messages}. SIGTERM stops too. The last line is {"type":"closed"}.

import {clients} from './clients.mjs'

const [name, url, json = '{}'] = process.argv.slice(2)
const options = {events: ['message'], own: [], headers: {}, count: Infinity, ...JSON.parse(json)}
let messages = 0

function tell(type, fields = {}) {
  if (messages >= options.count) return
  const event = fields.event ?? 'message'
  const own = options.own.includes(event)
  if (type === 'event') fields = {...fields, event}
  print({...fields, type: type !== 'event' ? type : own ? event : 'message'})
  if (type === 'event' && !own && ++messages >= options.count) stop()
}

function print(line) {
  process.stdout.write(JSON.stringify(line) + '\n')
}

function stop() {
  close()
  print({type: 'closed'})
  process.stdout.write('', () => process.exit(0))
}

const close = await clients[name](url, options, tell)
process.on('SIGTERM', stop)
