#!/usr/bin/python3
"""Seeds or fetches one torrent with libtorrent, for swarmbench: TORRENT DIR TRACKER DONE, a file
to make when all is there; empty: none.

Limits are lifted and everything that looks for peers elsewhere is off."""
import sys
import libtorrent as lt

torrent, where, tracker, done = sys.argv[1:5]
session = lt.session({
    "listen_interfaces": "0.0.0.0:7000",
    "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "enable_incoming_utp": False, "enable_outgoing_utp": False,
    "in_enc_policy": 2, "out_enc_policy": 2,
    "unchoke_slots_limit": -1, "connections_limit": 1000, "connection_speed": 500, "torrent_connect_boost": 255,
    "max_out_request_queue": 1500, "max_allowed_in_request_queue": 4000,
    "send_buffer_watermark": 3 << 20, "max_queued_disk_bytes": 16 << 20,
    "aio_threads": 4, "hashing_threads": 2,
    "alert_mask": lt.alert.category_t.status_notification,
})
what = lt.add_torrent_params()
what.ti = lt.torrent_info(torrent)
what.trackers = [tracker]
what.save_path = where
what.flags &= ~(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
session.add_torrent(what)
while True:
    session.wait_for_alert(1000)
    for alert in session.pop_alerts():
        if isinstance(alert, lt.torrent_finished_alert):
            print("seeding", flush=True)
            if done:
                open(done, "w").close()
