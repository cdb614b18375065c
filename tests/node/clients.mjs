// One adapter a client: start it on a URL, and tell what it hears in words common to all.
// Each takes (url, {events, headers}, tell) and returns a function that closes it.
// tell(type, {id, event, data} | {detail}): "open", "event", "error", "closed".

export const clients = {
  eventsource: async (url, {events, headers}, tell) => {
    const {EventSource} = await import('eventsource')
    const source = new EventSource(url, {
      fetch: (input, init) => fetch(input, {...init, headers: {...init.headers, ...headers}}),
    })
    source.onopen = () => tell('open')
    source.onerror = (e) => {
      tell('error', {detail: String(e.code ?? e.message ?? '')})
      if (source.readyState === source.CLOSED) tell('closed')
    }
    const hear = (e) => tell('event', {id: e.lastEventId, event: e.type, data: e.data})
    for (const name of events) source.addEventListener(name, hear)
    return () => source.close()
  },

  // Hears every event, whatever its name. It never looks at the status.
  'eventsource-client': async (url, {headers}, tell) => {
    const {createEventSource} = await import('eventsource-client')
    const source = createEventSource({
      url,
      headers,
      onConnect: () => tell('open'),
      onDisconnect: () => tell('error', {detail: 'disconnected'}),
      onMessage: ({id, event, data}) => tell('event', {id: id ?? source.lastEventId ?? '', event, data}),
    })
    return () => source.close()
  },

  // Its own "end" (without data) says that the connection ended, and means nothing of the service's.
  'launchdarkly-eventsource': async (url, {events, headers}, tell) => {
    const {EventSource} = (await import('launchdarkly-eventsource')).default
    const source = new EventSource(url, {headers})
    source.onopen = () => tell('open')
    source.onerror = (e) => tell('error', {detail: String(e?.status ?? e?.message ?? '')})
    source.onclosed = () => tell('closed')
    const hear = (e) =>
      e.data === undefined
        ? tell('error', {detail: 'ended'})
        : tell('event', {id: e.lastEventId, event: e.type, data: e.data})
    for (const name of new Set([...events, 'end'])) source.addEventListener(name, hear)
    return () => source.close()
  },
}
