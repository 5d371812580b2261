// A receiver of conference webhooks: WEBHOOK_KEY=whsec_… node receiver.mjs PORT ROOM…
import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'

const KEY = Buffer.from(process.env.WEBHOOK_KEY.replace(/^whsec_/, ''), 'base64')
const rooms = new Map(process.argv.slice(3).map(name => [name, { version: 0 }])) // yours is a table,
const seen = new Set() // and so is this one: the ids of the last ten minutes would do

function answer(headers, body) {
  const [id, sentAt, signatures] = ['id', 'timestamp', 'signature'].map(name => headers[`webhook-${name}`] ?? '')
  const ours = Buffer.from('v1,' + createHmac('sha256', KEY).update(`${id}.${sentAt}.`).update(body).digest('base64'))
  const told = signatures.split(' ').map(each => Buffer.from(each))
  const isOurs = told.some(each => each.length === ours.length && timingSafeEqual(each, ours))
  if (!isOurs || Math.abs(Date.now() / 1000 - Number(sentAt)) > 300) return [401, {}]
  const { type, data } = JSON.parse(body)
  const room = rooms.get(data.conference_id)
  if (!room) return [410, { error: 'conference_gone' }]
  if (data.version < room.version) return [409, { error: 'older_version' }]
  if (seen.has(id)) return [200, { changed: false }]
  rooms.set(data.conference_id, { deleted: type === 'conference.deleted', ...data })
  seen.add(id)
  return [200, {}]
}

const server = createServer(async (request, response) => {
  const [status, told] = answer(request.headers, Buffer.concat(await request.toArray()))
  response.writeHead(status).end(JSON.stringify(told))
})
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log(server.address().port))
