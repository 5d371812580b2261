// insert → paged list → sync → stale If-Match 412 → 410 → watch → stop, with @googleapis/calendar as it is.
import {calendar} from '@googleapis/calendar';

const {root, address} = JSON.parse(process.argv[2]);
const {events, channels} = calendar({version: 'v3', rootUrl: `${root}/`, auth: 'any-key', retry: false});
const times = {
  start: {dateTime: '2026-03-02T09:00:00Z', timeZone: 'UTC'},
  end: {dateTime: '2026-03-02T10:00:00Z', timeZone: 'UTC'},
};
const calendarId = 'primary';
const statusOf = promise => promise.then(answer => answer.status, error => Number(error.code ?? error.status));

const made = [];
for (let n = 0; n < 5; n++) {
  made.push((await events.insert({calendarId, requestBody: {summary: `${n}`, ...times}})).data);
}
let page = {}, listed = 0;
do {
  page = (await events.list({calendarId, maxResults: 2, pageToken: page.nextPageToken})).data;
  listed += page.items.length;
} while (page.nextPageToken);
const syncToken = page.nextSyncToken;

await events.patch({calendarId, eventId: made[1].id, requestBody: {summary: 'new'}});
await events.delete({calendarId, eventId: made[2].id});
const delta = (await events.list({calendarId, syncToken})).data.items.map(item => item.summary ?? item.status);

const stale = await statusOf(
  events.patch({calendarId, eventId: made[1].id, requestBody: {}}, {headers: {'If-Match': made[1].etag}}));
await fetch(`${root}/_sim/faults`, {method: 'POST', body: JSON.stringify({expire_tokens: 'me@example.com'})});
const expired = await statusOf(events.list({calendarId, syncToken}));

const channel = (await events.watch({calendarId, requestBody: {id: 'node', type: 'web_hook', address}})).data;
const stopped = await statusOf(channels.stop({requestBody: {id: channel.id, resourceId: channel.resourceId}}));
console.log(JSON.stringify({listed, delta, stale, expired, stopped}));
