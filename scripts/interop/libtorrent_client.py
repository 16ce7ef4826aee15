#!/usr/bin/python3
"""Seeds or fetches one torrent with libtorrent, as it comes but for what looks for peers
elsewhere than at trackers: TORRENT-or-MAGNET DIR DONE, a file to make when all is there,
and "rc4" as the fourth for encrypted connections alone."""
import sys
import libtorrent as lt

torrent, where, done = sys.argv[1:4]
settings = {
    "listen_interfaces": "0.0.0.0:6881",
    "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "alert_mask": lt.alert.category_t.status_notification | lt.alert.category_t.tracker_notification | lt.alert.category_t.error_notification,
}
if sys.argv[4:] == ["rc4"]:
    settings.update({"in_enc_policy": 0, "out_enc_policy": 0, "allowed_enc_level": 2})
session = lt.session(settings)
if torrent.startswith("magnet:"):
    what = lt.parse_magnet_uri(torrent)
else:
    what = lt.add_torrent_params()
    what.ti = lt.torrent_info(torrent)
what.save_path = where
what.flags &= ~(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
session.add_torrent(what)
while True:
    session.wait_for_alert(1000)
    for alert in session.pop_alerts():
        print(alert.message(), flush=True)
        if isinstance(alert, lt.torrent_finished_alert):
            open(done, "w").close()
