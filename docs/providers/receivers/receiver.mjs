// A receiver of conference webhooks: WEBHOOK_KEY=whsec_… node receiver.mjs PORT ROOM…
import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'
import { isDeepStrictEqual } from 'node:util'

const KEY = Buffer.from(process.env.WEBHOOK_KEY.replace(/^whsec_/, ''), 'base64')
const rooms = new Map(process.argv.slice(3).map(name => [name, { version: 0 }])) // yours is a database

function answer(headers, body) {
  const sentAt = headers['webhook-timestamp'] ?? ''
  const mac = createHmac('sha256', KEY).update(`${headers['webhook-id']}.${sentAt}.`).update(body).digest('base64')
  const wanted = Buffer.from(`v1,${mac}`)
  const signatures = (headers['webhook-signature'] ?? '').split(' ').map(each => Buffer.from(each))
  if (!signatures.some(each => each.length === wanted.length && timingSafeEqual(each, wanted))) return [401, {}]
  if (!(Math.abs(Date.now() / 1000 - Number(sentAt)) <= 300)) return [401, {}]
  const { type, data } = JSON.parse(body)
  const room = rooms.get(data.conference_id)
  if (!room) return [410, { error: 'conference_gone' }]
  if (data.version < room.version) return [409, { error: 'older_version' }]
  const state = { deleted: type === 'conference.deleted', ...data }
  rooms.set(data.conference_id, state)
  return [200, { changed: !isDeepStrictEqual(state, room) }]
}

const server = createServer(async (request, response) => {
  const pieces = []
  for await (const piece of request) pieces.push(piece)
  const [status, told] = answer(request.headers, Buffer.concat(pieces))
  response.writeHead(status).end(JSON.stringify(told))
})
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log(server.address().port))
